//! The gate in front of every route: who are you, may you do this, do you come too often. What it lets in carries a
//! [`Caller`]; what it does not is answered here, and nothing behind it is reached.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, Method, Request, header};
use qd_env::Env;
use qd_types::{Code, KEY_PREFIX};

use super::guesses::Guesses;
use super::keys::{KeyBook, Refused};
use super::{Auth, Caller, Known, Needs, Peer};
use crate::observe::Observer;
use crate::problem::Problem;
use crate::view::time::Rfc3339;

static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Wrong keys a minute from one address that are told what is wrong with them.
const FAILURES_PER_MINUTE: u32 = 10;

/// What routes need, by path and method. A route that is not in it needs a key.
#[derive(Debug, Default)]
pub(crate) struct NeedsOfRoutes(HashMap<&'static str, Vec<(Method, Needs)>>);

impl NeedsOfRoutes {
    pub(crate) fn add(&mut self, method: Method, path: &'static str, needs: Needs) {
        self.0.entry(path).or_default().push((method, needs));
    }

    fn of(&self, method: &Method, path: Option<&MatchedPath>) -> Needs {
        // What reads answers `HEAD` as well.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let of_path = path.and_then(|path| self.0.get(path.as_str())).map(Vec::as_slice).unwrap_or_default();
        of_path.iter().find(|(known, _)| known == method).map_or(Needs::Key, |(_, needs)| *needs)
    }
}

/// One port's gate.
pub(crate) struct Gate {
    auth: Auth,
    needs: NeedsOfRoutes,
    keys: Arc<KeyBook>,
    guesses: Guesses,
    observer: Arc<Observer>,
    env: Env,
}

impl Gate {
    pub(crate) fn new(
        auth: Auth,
        needs: NeedsOfRoutes,
        keys: Arc<KeyBook>,
        observer: Arc<Observer>,
        env: Env,
    ) -> Self {
        Self { auth, needs, keys, guesses: Guesses::new(FAILURES_PER_MINUTE), observer, env }
    }

    /// The key that a request came with, if it is good; `None` for somebody without one where none is needed.
    fn key(&self, request: &Request<Body>) -> Result<Option<Arc<Known>>, Problem> {
        let refuse = |reason, detail: &str| {
            self.observer.not_let_in(reason);
            Err(Problem::new(Code::Unauthorized, detail))
        };
        match (self.auth, presented(request.headers())?) {
            // Clients that cannot do without a key send some key of their own making to a server that needs none.
            (Auth::Open, Presented::Nothing | Presented::Other) => Ok(None),
            (Auth::Open, Presented::Key(text)) if !text.starts_with(KEY_PREFIX) => Ok(None),
            (_, Presented::Key(text)) => {
                self.keys.check(text).map(Some).map_err(|refused| self.told(refused, request))
            }
            (Auth::Keys, Presented::Nothing) => refuse(
                "missing",
                "this needs an API key and the request has none; send it as `Authorization: Bearer KEY`",
            ),
            (Auth::Keys, Presented::Other) => refuse(
                "malformed",
                "the header `Authorization` has another form; send `Authorization: Bearer KEY`",
            ),
        }
    }

    /// The answer to a key that lets nobody in. What is wrong with it is for those who do not try too often.
    fn told(&self, refused: Refused, request: &Request<Body>) -> Problem {
        let (reason, detail) = match refused {
            Refused::Unavailable => return Problem::store_unavailable(),
            Refused::Malformed(why) => ("malformed", format!("the API key {why}")),
            Refused::Unknown => (
                "unknown",
                "the API key is not known here; create one with `quarterdeck keys create`".to_owned(),
            ),
            Refused::Revoked(id) => ("revoked", format!("key {id} was revoked; ask for a new one")),
            Refused::Expired(id, at) => {
                ("expired", format!("key {id} expired at {}; ask for a new one", Rfc3339(at)))
            }
        };
        self.observer.not_let_in(reason);
        let peer = request.extensions().get::<Peer>();
        match peer.map(|Peer(peer)| self.guesses.count(*peer, self.env.monotonic())) {
            Some(Err(retry_after)) => {
                let detail = "too many requests with a wrong key came from this address; a good one is let in at any time";
                Problem::new(Code::RateLimited, detail).retry_after(retry_after)
            }
            Some(Ok(())) | None => Problem::new(Code::Unauthorized, detail),
        }
    }
}

/// What a request shows.
enum Presented<'a> {
    Nothing,
    Key(&'a str),
    /// Something that is no key at all.
    Other,
}

/// `Authorization: Bearer KEY`, or `X-API-Key: KEY`; the first wins.
fn presented(headers: &HeaderMap) -> Result<Presented<'_>, Problem> {
    for name in [header::AUTHORIZATION, X_API_KEY.clone()] {
        let mut values = headers.get_all(&name).iter();
        let Some(value) = values.next() else { continue };
        if values.next().is_some() {
            let detail = format!("the header `{name}` stands more than once; send one");
            return Err(Problem::new(Code::InvalidRequest, detail));
        }
        let Ok(text) = value.to_str() else { return Ok(Presented::Other) };
        if name == X_API_KEY {
            return Ok(Presented::Key(text.trim()));
        }
        let bearer = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        return Ok(bearer.map_or(Presented::Other, |(_, key)| Presented::Key(key.trim())));
    }
    Ok(Presented::Nothing)
}

/// The gate as a layer of a router.
pub(crate) async fn pass(State(gate): State<Arc<Gate>>, request: Request<Body>, next: Next) -> Response {
    let needs = gate.needs.of(request.method(), request.extensions().get::<MatchedPath>());
    if needs == Needs::Nothing {
        return next.run(request).await;
    }
    let key = match gate.key(&request) {
        Ok(Some(key)) => key,
        Ok(None) => return answered(Caller::anyone(), request, next).await,
        Err(problem) => return problem.into_response(),
    };
    let standing = match key.meter.take(gate.env.monotonic()) {
        Ok(standing) => standing,
        Err(problem) => {
            gate.observer.not_let_in("too_often");
            return problem.into_response();
        }
    };
    let caller = Caller::with(Arc::clone(&key));
    let mut response = match caller.check(needs) {
        Ok(()) => answered(caller, request, next).await,
        Err(problem) => {
            gate.observer.not_let_in("forbidden");
            problem.into_response()
        }
    };
    standing.tell(response.headers_mut());
    response
}

async fn answered(caller: Caller, mut request: Request<Body>, next: Next) -> Response {
    request.extensions_mut().insert(caller);
    next.run(request).await
}
