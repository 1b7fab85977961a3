//! What became of the inputs of a batch, one a line, in their order. One page of them is held at a time.

use std::io;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, header};
use qd_store::{ItemPage, ItemQuery, ItemStatus};
use qd_types::{BatchId, Code, TenantId};

use super::{PathBatch, of_batch, unknown};
use crate::access::Caller;
use crate::context::Shared;
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::Problem;
use crate::query::Parameters;
use crate::view::batch::{ResultView, item_status_schema};

/// Results read at once.
const PAGE: usize = 200;

/// `GET /v1/batches/{id}/results`.
pub(crate) async fn results(
    State(context): State<Shared>,
    caller: Caller,
    PathBatch(id): PathBatch,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let words: Vec<_> = ItemStatus::all().map(|status| (status.as_str(), status)).collect();
    let status = parameters.word("status", "status of an input", &words);
    parameters.finish()?;
    let mut reader = Reader { context, tenant: caller.tenant, id, status };
    let first = reader.page(0).await?.ok_or_else(|| unknown(&id.to_string()))?;
    // An answer that has begun cannot become an error any more: it is cut, which is seen by its missing end.
    let lines = futures::stream::unfold((reader, Some(Ok(first))), |(mut reader, page)| async move {
        let page: ItemPage = match page? {
            Ok(page) => page,
            Err(error) => return Some((Err(error), (reader, None))),
        };
        let next = match page.next {
            Some(from) => Some(reader.next(from).await),
            None => None,
        };
        Some((Ok(written(&page)), (reader, next)))
    });
    let mut response = Response::new(Body::from_stream(lines));
    let kind = const { HeaderValue::from_static("application/x-ndjson") };
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

struct Reader {
    context: Shared,
    tenant: TenantId,
    id: BatchId,
    status: Option<ItemStatus>,
}

impl Reader {
    async fn page(&mut self, from: u32) -> Result<Option<ItemPage>, qd_store::Error> {
        let query = ItemQuery { from, status: self.status, limit: PAGE };
        self.context.store.batch_items(&self.tenant, self.id, query).await
    }

    async fn next(&mut self, from: u32) -> io::Result<ItemPage> {
        let page = self.page(from).await.map_err(io::Error::other)?;
        page.ok_or_else(|| io::Error::other("the batch was deleted meanwhile"))
    }
}

fn written(page: &ItemPage) -> Bytes {
    let mut bytes = Vec::new();
    for item in &page.items {
        // Texts, numbers and lists: there is nothing in it that JSON does not have.
        if serde_json::to_writer(&mut bytes, &ResultView::from(item)).is_ok() {
            bytes.push(b'\n');
        }
    }
    bytes.into()
}

pub(crate) fn about_results() -> Operation {
    let lines = Answer::media("One result a line.", "application/x-ndjson", Schema::named("BatchResult"));
    of_batch(Operation::new("batches", "readBatchResults", "what became of its inputs, one a line"))
        .about("In the order of the inputs, also while the batch runs. An answer without its last chunk was cut.")
        .query("status", "Only inputs that stand there.", item_status_schema())
        .answers(200, lines)
        .fails(&[Code::ValidationFailed])
}
