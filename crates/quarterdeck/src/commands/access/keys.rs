//! `keys create`, `list`, `get`, `rotate` and `revoke`: through a running server, or on the store of one that is stopped.

use std::time::Duration;

use qd_gateway::{KeyError, WantedKey, issued_view, key_view};
use qd_store::Actor;
use qd_types::{KeyId, Scope, Scopes, TenantId};
use serde_json::{Value, json};

use crate::cli::{Format, Global, Keys, KeysCreate, KeysRotate};
use crate::commands::place::Place;
use crate::exit::{Exit, ended};
use crate::output;

const HEADINGS: [&str; 6] = ["id", "name", "tenant", "scopes", "status", "expires"];
const DAY: Duration = Duration::from_secs(86_400);
/// The same as over HTTP.
const DAYS_DEFAULT: u32 = 365;
const DAYS_MAX: u32 = 3_650;
const OVERLAP_DEFAULT: u32 = 86_400;
const NAME_CHARS_MAX: usize = 128;

pub(in crate::commands) async fn run(global: &Global, args: Keys) -> anyhow::Result<Exit> {
    match args {
        Keys::Create(args) => create(global, args).await,
        Keys::Rotate(args) => rotate(global, args).await,
        Keys::List(args) => {
            let keys = match Place::of(global, &args.target).await? {
                Place::Server(client) => client.get("/v1/keys").await?["keys"].clone(),
                Place::Store(local) => {
                    let keys = local.keys.all(None).await?;
                    keys.iter().map(|key| key_view(key, local.env.now())).collect()
                }
            };
            let rows: Vec<_> = keys.as_array().into_iter().flatten().map(row).collect();
            output::show(global.output, &keys, |_| output::table(&HEADINGS, &rows))?;
            Ok(Exit::Ok)
        }
        Keys::Get(args) => {
            let key = match Place::of(global, &args.target).await? {
                Place::Server(client) => client.get(&format!("/v1/keys/{}", id(&args.id)?)).await?,
                Place::Store(local) => {
                    key_view(&local.keys.one(None, id(&args.id)?).await.map_err(told)?, local.env.now())
                }
            };
            output::show(global.output, &key, |key| output::table(&HEADINGS, &[row(key)]))?;
            Ok(Exit::Ok)
        }
        Keys::Revoke(args) => {
            let key = match Place::of(global, &args.target).await? {
                Place::Server(client) => client.delete(&format!("/v1/keys/{}", id(&args.id)?)).await?,
                Place::Store(local) => {
                    let revoked =
                        local.keys.revoke(None, id(&args.id)?, Actor::Console).await.map_err(told)?;
                    key_view(&revoked, local.env.now())
                }
            };
            output::show(global.output, &key, |key| output::table(&HEADINGS, &[row(key)]))?;
            Ok(Exit::Ok)
        }
    }
}

async fn create(global: &Global, args: KeysCreate) -> anyhow::Result<Exit> {
    let scopes = args.scope.iter().map(|word| {
        word.parse::<Scope>().map_err(|wrong| ended(Exit::Usage, format!("--scope `{word}` {wrong}")))
    });
    let scopes = scopes.collect::<anyhow::Result<Vec<Scope>>>()?;
    let issued = match Place::of(global, &args.target).await? {
        Place::Server(client) => {
            let body = json!({
                "name": args.name, "scopes": scopes, "tenant": args.tenant, "expires_in_days": args.expires_days,
            });
            client.post("/v1/keys", &body).await?
        }
        Place::Store(local) => {
            let wanted = wanted(&args, scopes.into_iter().collect())?;
            let issued = local.keys.issue(wanted, Actor::Console).await.map_err(told)?;
            issued_view(&issued, local.env.now())
        }
    };
    show_secret(global, &issued)
}

fn wanted(args: &KeysCreate, scopes: Scopes) -> anyhow::Result<WantedKey> {
    let usage = |message: String| ended(Exit::Usage, message);
    let tenant = match &args.tenant {
        Some(name) => TenantId::parse(name).map_err(|wrong| usage(wrong.to_string()))?,
        None => TenantId::default(),
    };
    let days = args.expires_days.unwrap_or(DAYS_DEFAULT);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(usage(format!("--expires-days is between 1 and {DAYS_MAX}")));
    }
    let name = args.name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(usage(format!(
            "a key's name has 1 to {NAME_CHARS_MAX} characters, none of them a control one"
        )));
    }
    Ok(WantedKey { tenant, name: name.to_owned(), scopes, lifetime: DAY * days })
}

async fn rotate(global: &Global, args: KeysRotate) -> anyhow::Result<Exit> {
    let old = id(&args.id)?;
    let overlap = args.overlap_seconds.unwrap_or(OVERLAP_DEFAULT);
    let issued = match Place::of(global, &args.target).await? {
        Place::Server(client) => {
            client.post(&format!("/v1/keys/{old}/rotate"), &json!({ "overlap_seconds": overlap })).await?
        }
        Place::Store(local) => {
            let overlap = Duration::from_secs(overlap.into());
            let issued = local.keys.rotate(None, old, overlap, Actor::Console).await.map_err(told)?;
            issued_view(&issued, local.env.now())
        }
    };
    show_secret(global, &issued)
}

/// The key alone on standard output, so that it can be piped to where it is kept.
fn show_secret(global: &Global, issued: &Value) -> anyhow::Result<Exit> {
    let text = |name: &str| issued[name].as_str().unwrap_or_default();
    output::show(global.output, issued, |_| text("key").to_owned())?;
    if global.output == Format::Table && !global.quiet {
        output::say(&format!(
            "Key {} of the tenant `{}`, good until {}. It is shown this once: keep it where secrets are kept.",
            text("id"),
            output::harmless(text("tenant")),
            text("expires_at"),
        ));
    }
    Ok(Exit::Ok)
}

fn row(key: &Value) -> Vec<String> {
    let text = |name: &str| output::excerpt(key[name].as_str().unwrap_or_default(), 60);
    let scopes = key["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let scopes: Vec<&str> = scopes.collect();
    vec![text("id"), text("name"), text("tenant"), scopes.join(" "), text("status"), text("expires_at")]
}

fn id(text: &str) -> anyhow::Result<KeyId> {
    // Who pastes the whole key means its id; the rest is not repeated anywhere.
    let id = text.strip_prefix(qd_types::KEY_PREFIX).and_then(|rest| rest.split('_').next()).unwrap_or(text);
    KeyId::parse(id).ok_or_else(|| {
        ended(
            Exit::Usage,
            "a key's id has 8 letters and digits: the part after qd_live_; `quarterdeck keys list` shows it",
        )
    })
}

fn told(error: KeyError) -> anyhow::Error {
    let exit = match &error {
        KeyError::Unknown(_) => Exit::NotFound,
        KeyError::Over(_) => Exit::Conflict,
        KeyError::Full => Exit::Limited,
        KeyError::Store(_) => Exit::Failed,
    };
    ended(exit, error.to_string())
}
