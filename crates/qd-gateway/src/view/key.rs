//! Keys and the audit log as the API shows them. Never a secret, but in the answer that makes one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use qd_store::{AuditHash, AuditHead, Audited, StoredKey};
use qd_types::{KeyId, Scope, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::time::Rfc3339;
use crate::access::Issued;

#[derive(Serialize)]
struct KeyView<'a> {
    id: KeyId,
    name: &'a str,
    tenant: &'a str,
    scopes: Vec<Scope>,
    status: &'static str,
    created_at: Rfc3339,
    expires_at: Rfc3339,
    revoked_at: Option<Rfc3339>,
    replaces: Option<KeyId>,
}

/// A key.
#[must_use]
pub fn key_view(key: &StoredKey, now: Timestamp) -> Value {
    let status = match key.revoked_at {
        Some(_) => "revoked",
        None if key.is_good(now) => "active",
        None => "expired",
    };
    json!(KeyView {
        id: key.id,
        name: &key.name,
        tenant: key.tenant.as_str(),
        scopes: key.scopes.iter().collect(),
        status,
        created_at: Rfc3339(key.created_at),
        expires_at: Rfc3339(key.expires_at),
        revoked_at: key.revoked_at.map(Rfc3339),
        replaces: key.replaces,
    })
}

/// A key that was just made, with its secret.
#[must_use]
pub fn issued_view(issued: &Issued, now: Timestamp) -> Value {
    let mut view = json!({ "key": issued.key.reveal() });
    if let (Value::Object(view), Value::Object(more)) = (&mut view, key_view(&issued.stored, now)) {
        view.extend(more);
    }
    view
}

#[derive(Serialize)]
struct ActView<'a> {
    seq: u64,
    at: Rfc3339,
    tenant: &'a str,
    actor: &'a str,
    deed: &'a str,
    subject: &'a str,
    detail: &'a BTreeMap<String, String>,
    hash: String,
}

/// A privileged act.
#[must_use]
pub fn act_view(row: &Audited) -> Value {
    json!(ActView {
        seq: row.seq,
        at: Rfc3339(row.at),
        tenant: row.act.tenant.as_str(),
        actor: &row.act.actor,
        deed: &row.act.deed,
        subject: &row.act.subject,
        detail: &row.act.detail,
        hash: hex(&row.hash),
    })
}

/// What looking through the audit log has found.
#[must_use]
pub fn audit_view(found: &Result<AuditHead, qd_store::BrokenChain>) -> Value {
    match found {
        Ok(head) => json!({ "intact": true, "acts": head.seq, "head": hex(&head.hash), "mistake": null }),
        Err(mistake) => {
            json!({ "intact": false, "acts": null, "head": null, "mistake": mistake.to_string() })
        }
    }
}

fn hex(hash: &AuditHash) -> String {
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
