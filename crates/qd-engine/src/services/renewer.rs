//! Renews this process's leases and tells attempts whose lease is gone.

use std::sync::Arc;

use crate::engine::Shared;

/// Runs until every attempt of a stopping engine has ended; attempts that drain keep their leases.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = shared.store.revocation() => {}
            () = tokio::time::sleep(shared.options.lease / 3) => {}
            () = shared.stopping.cancelled(), if shared.held.count() == 0 => break,
        }
        renew(&shared).await;
    }
}

async fn renew(shared: &Shared) {
    let held = shared.held.all();
    if held.is_empty() {
        return;
    }
    match shared.store.renew(&shared.worker, held).await {
        Ok(revoked) => shared.held.revoke(revoked.into_iter().map(|revocation| revocation.job)),
        Err(error) => tracing::error!(%error, "could not renew leases"),
    }
}
