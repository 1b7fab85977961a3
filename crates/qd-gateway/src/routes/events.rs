//! `GET /v1/jobs/{id}/events`: a job's history as it happens, as server-sent events.
//!
//! Durable events come from the store's log, once and in order, and carry their place in it as `id`; what is live only
//! (pieces of answers) carries none. The stream holds one page of the log at most and is driven by its reader: a slow
//! reader makes nothing grow, it only misses pieces of answers.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use qd_store::{LiveEvent, Watch};
use qd_types::{Code, Entry, JobId, LogItem, Logged, Seq, StepId, TenantId};
use tokio::sync::watch;

use super::PathJob;
use crate::access::Caller;
use crate::context::{Context, Shared};
use crate::observe::Open;
use crate::openapi::{Answer, Operation, Schema};
use crate::places::Place;
use crate::problem::{Problem, shown};
use crate::serve::Endless;
use crate::view::event;

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Log items read at once.
const PAGE: usize = 64;

const COMMENT: Bytes = Bytes::from_static(b":\n\n");
/// Sent when whoever reads would not be let in any more; coming back is answered with why.
const NOT_LET_IN: Bytes = Bytes::from_static(b": the key is not good any more\n\n");
/// Sent when the server stops: the reader comes back on its own and goes on where it was.
const COME_BACK: Bytes = Bytes::from_static(b": the server is stopping, come back\nretry: 2000\n\n");

/// The route.
pub(crate) async fn events(
    State(context): State<Shared>,
    caller: Caller,
    PathJob(id): PathJob,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last_seen = last_event_id(&headers)?;
    let place = place(&context, &caller.tenant)?;
    // Watch first, then read: what is committed in between is heard.
    let watch = context.store.watch(id);
    let job = context.job(&caller.tenant, id).await?;
    let after = match last_seen {
        Some(seq) => still_there(&context, &caller.tenant, id, seq).await?,
        None => 0,
    };
    let mut stream = Stream::new(context, caller, watch, place, id, after);
    if last_seen.is_none() {
        stream.ready.push_back(event::accepted(&job));
    }
    stream.read().await?;
    if last_seen.is_some() && stream.ready.is_empty() && job.status.is_terminal() {
        // There is nothing more, ever: the one answer that makes a browser stop coming back.
        return Ok(no_content());
    }
    // A job without a terminal event in its log cannot be over, unless the reader has seen that event.
    stream.over |= stream.drained && job.status.is_terminal();
    let frames = futures::stream::unfold(stream, |mut stream| async move {
        let bytes = stream.next().await?;
        Some((Ok::<Bytes, Infallible>(bytes), stream))
    });
    Ok(answer(frames))
}

/// A place among those who listen.
pub(crate) fn place(context: &Context, tenant: &TenantId) -> Result<Place, Problem> {
    context.watchers.take(tenant, 1).ok_or_else(|| {
        let detail =
            "as many event streams are open as the server keeps, of this tenant or in all; read the job instead, or come back \
             later";
        Problem::new(Code::Overloaded, detail).retry_after(Duration::from_secs(5))
    })
}

fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Server-sent events as they come.
pub(crate) fn answer(
    frames: impl futures::Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
) -> Response {
    let mut response = Response::new(Body::from_stream(frames));
    response.extensions_mut().insert(Endless);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, const { HeaderValue::from_static("text/event-stream") });
    // Proxies that collect answers before passing them on would hold events back.
    headers.insert("x-accel-buffering", const { HeaderValue::from_static("no") });
    response
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Seq>, Problem> {
    let Some(value) = headers.get(&LAST_EVENT_ID) else { return Ok(None) };
    let text = value.to_str().unwrap_or("?");
    // Browsers send the empty id when they have seen none.
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let seq = text.parse().ok().filter(|seq| digits && i64::try_from(*seq).is_ok());
    seq.map(Some).ok_or_else(|| {
        let detail = format!(
            "`Last-Event-ID: {}` is no id of an event; send one that this stream has sent",
            shown(text)
        );
        Problem::new(Code::InvalidRequest, detail)
    })
}

/// The place after which to go on, if the job has that event.
async fn still_there(context: &Context, tenant: &TenantId, id: JobId, seq: Seq) -> Result<Seq, Problem> {
    let Some(before) = seq.checked_sub(1) else { return Ok(0) };
    let found = context.store.log(tenant, id, before, 1).await?.unwrap_or_default();
    match found.first() {
        Some(logged) if logged.seq == seq => Ok(seq),
        Some(_) => {
            let detail = format!("event {seq} of job {id} is no longer kept; read the job for its state");
            Err(Problem::new(Code::EventsPruned, detail))
        }
        None => {
            let detail = format!("job {id} has no event {seq} yet; leave `Last-Event-ID` out to start anew");
            Err(Problem::new(Code::InvalidRequest, detail))
        }
    }
}

/// Where one reader is.
struct Stream {
    context: Shared,
    caller: Caller,
    /// Keys that were changed.
    keys: watch::Receiver<()>,
    watch: Watch,
    _place: Place,
    _open: Open,
    id: JobId,
    after: Seq,
    ready: VecDeque<Bytes>,
    /// Steps whose whole answer was sent: pieces that come late would repeat it. Bounded by the steps of a job.
    told: HashSet<StepId>,
    /// The log was read to its end.
    drained: bool,
    /// The terminal event was read.
    over: bool,
}

impl Stream {
    fn new(context: Shared, caller: Caller, watch: Watch, place: Place, id: JobId, after: Seq) -> Self {
        Self {
            _open: context.observer.stream(),
            keys: context.keys.changes(),
            context,
            caller,
            watch,
            _place: place,
            id,
            after,
            ready: VecDeque::new(),
            told: HashSet::new(),
            drained: false,
            over: false,
        }
    }

    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            if self.over {
                return None;
            }
            if self.drained {
                match self.heard().await {
                    Heard::Delta(bytes) => return Some(bytes),
                    Heard::Closing => {
                        self.over = true;
                        return Some(COME_BACK);
                    }
                    // Keys also expire, which nobody says.
                    Heard::Silence | Heard::Keys if !self.caller.is_still_good(&self.context.keys) => {
                        self.over = true;
                        return Some(NOT_LET_IN);
                    }
                    Heard::Silence => self.ready.push_back(COMMENT),
                    Heard::Keys => continue,
                    Heard::Changed => {}
                }
            }
            // An answer that has begun cannot become an error any more: the reader comes back and is told then.
            if self.read().await.is_err() {
                self.over = true;
                return Some(COME_BACK);
            }
        }
    }

    async fn heard(&mut self) -> Heard {
        let keep_alive: Duration = self.context.options.keep_alive;
        tokio::select! {
            () = self.context.closing.cancelled() => Heard::Closing,
            () = tokio::time::sleep(keep_alive) => Heard::Silence,
            Ok(()) = self.keys.changed() => Heard::Keys,
            event = next_of_interest(&mut self.watch, &self.told) => event,
        }
    }

    /// Reads the next page of the log.
    async fn read(&mut self) -> Result<(), Problem> {
        let page = self.context.store.log(&self.caller.tenant, self.id, self.after, PAGE).await?;
        // The job was deleted while its reader lagged behind.
        let Some(page) = page else { return Err(Problem::not_found("job", &self.id.to_string())) };
        self.drained = page.len() < PAGE;
        for logged in &page {
            self.after = logged.seq;
            self.note(logged);
            self.ready.extend(event::durable(self.id, logged));
        }
        Ok(())
    }

    fn note(&mut self, logged: &Logged) {
        match &logged.item {
            LogItem::Status { status, .. } => self.over |= status.is_terminal(),
            LogItem::Entry { entry } => {
                if let Entry::Model { step, .. } | Entry::Tool { step, .. } = &**entry {
                    self.told.insert(step.clone());
                }
            }
            LogItem::TaskStarted { .. } | LogItem::TaskFinished { .. } | LogItem::Reminded { .. } => {}
        }
    }
}

enum Heard {
    Changed,
    Delta(Bytes),
    Silence,
    Keys,
    Closing,
}

async fn next_of_interest(watch: &mut Watch, told: &HashSet<StepId>) -> Heard {
    loop {
        match watch.next().await {
            LiveEvent::Changed => return Heard::Changed,
            LiveEvent::Delta(delta) if told.contains(&delta.step) => {}
            LiveEvent::Delta(delta) => return Heard::Delta(event::delta(&delta)),
        }
    }
}

pub(crate) fn about() -> Operation {
    let about = "The events, one after the other; the schema is that of each.";
    let stream = Answer::media(about, "text/event-stream", Schema::named("Event"));
    Operation::new("jobs", "followJob", "its events as they happen (server-sent events)")
        .about(
            "Durable events come once, in order, and carry an `id`; a stream that broke off goes on after it. Pieces \
             of answers (`delta`) come in between without `id` and may be lost. The stream ends after the terminal event. \
             A silent stream sends comments.",
        )
        .of_job()
        .header("Last-Event-ID", "The last event that was seen; the stream goes on after it. Empty for none.", Schema::text().pattern("^[0-9]{0,18}$"))
        .answers(200, stream)
        .answers(204, Answer::empty("The job is over and every event was seen: do not come back."))
        .fails(&[Code::EventsPruned, Code::Overloaded])
}
