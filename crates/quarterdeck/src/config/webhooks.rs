//! Who is told of what happens to jobs, and how far requests may reach: the settings, checked, as the engine and the store
//! want them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use qd_egress::Bounds;
use qd_engine::SigningSecret;
use qd_gateway::WebhookEndpoint;
use qd_store::{Event, Subscription};
use qd_types::CrewName;
use serde::Deserialize;

use super::Settings;
use super::secrets::Hidden;

/// An endpoint.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    url: String,
    #[serde(default)]
    events: Option<Vec<String>>,
    #[serde(default)]
    crews: Option<Vec<String>>,
    secret: Hidden,
    #[serde(default)]
    previous_secret: Option<Hidden>,
}

/// How webhooks are delivered.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delivery {
    #[serde(default)]
    secret: Option<Hidden>,
    #[serde(default)]
    previous_secret: Option<Hidden>,
    per_endpoint: usize,
    at_once: usize,
    timeout_seconds: u64,
    disable_after_hours: u64,
}

/// How far requests reach to addresses that somebody else chose.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Egress {
    allow: Vec<String>,
    deny: Vec<String>,
    loopback: bool,
    https_only: bool,
    #[serde(default)]
    proxy: Option<String>,
}

impl Egress {
    pub(super) fn reaches_this_machine(&self) -> bool {
        self.loopback
    }

    pub(super) fn options(&self) -> qd_egress::Options {
        qd_egress::Options {
            allow: self.allow.clone(),
            deny: self.deny.clone(),
            loopback: self.loopback,
            https_only: self.https_only,
            proxy: self.proxy.clone(),
        }
    }
}

/// What is wrong, by setting.
pub(super) fn problems(s: &Settings) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let bounds = match Bounds::new(&s.egress.options()) {
        Ok(bounds) => Some(bounds),
        Err(error) => {
            found.push(("egress".to_owned(), error.to_string()));
            None
        }
    };
    let mut secret = |path: String, secret: Option<&Hidden>| {
        if let Some(Err(error)) = secret.map(|secret| SigningSecret::parse(secret.expose())) {
            found.push((path, error.to_string()));
        }
    };
    secret("delivery.secret".to_owned(), s.delivery.secret.as_ref());
    secret("delivery.previous_secret".to_owned(), s.delivery.previous_secret.as_ref());
    for (name, webhook) in &s.webhooks {
        secret(format!("webhooks.{name}.secret"), Some(&webhook.secret));
        secret(format!("webhooks.{name}.previous_secret"), webhook.previous_secret.as_ref());
    }
    for (name, webhook) in &s.webhooks {
        if let Some(Err(refusal)) = bounds.as_ref().map(|bounds| bounds.check(&webhook.url)) {
            found.push((format!("webhooks.{name}.url"), refusal.to_string()));
        }
        for event in webhook.events.iter().flatten().filter(|event| asked_for(event).is_none()) {
            let known = Event::ALL.map(Event::as_str).join(", ");
            let message = format!("there is no event `{event}`; there are {known}");
            found.push((format!("webhooks.{name}.events"), message));
        }
        if let Some(Err(error)) =
            webhook.crews.iter().flatten().map(|crew| CrewName::parse(crew)).find(Result::is_err)
        {
            found.push((format!("webhooks.{name}.crews"), error.to_string()));
        }
    }
    found
}

/// An event that endpoints can ask for.
fn asked_for(event: &str) -> Option<Event> {
    Event::parse(event).filter(|event| Event::ALL.contains(event))
}

impl Webhook {
    fn events(&self) -> Vec<Event> {
        match &self.events {
            Some(events) => events.iter().filter_map(|event| asked_for(event)).collect(),
            None => Event::LAST.to_vec(),
        }
    }
}

impl Settings {
    /// Whether anybody is to be told of anything.
    fn has_webhooks(&self) -> bool {
        !self.webhooks.is_empty() || self.delivery.secret.is_some()
    }

    /// What the store must know.
    pub(crate) fn subscriptions(&self) -> Arc<[Subscription]> {
        let of = |(name, webhook): (&String, &Webhook)| Subscription {
            endpoint: name.clone(),
            events: webhook.events(),
            crews: webhook.crews.as_ref().map(|crews| crews.iter().map(CrewName::new).collect()),
        };
        self.webhooks.iter().map(of).collect()
    }

    /// What the API shows.
    pub(crate) fn webhook_endpoints(&self) -> Vec<WebhookEndpoint> {
        let of = |(name, webhook): (&String, &Webhook)| WebhookEndpoint {
            name: name.clone(),
            url: webhook.url.clone(),
            events: webhook.events(),
            crews: webhook.crews.clone(),
        };
        self.webhooks.iter().map(of).collect()
    }

    /// What URLs that come with jobs are checked with; none if there is no secret to sign with.
    pub(crate) fn job_webhooks(&self) -> anyhow::Result<Option<Arc<Bounds>>> {
        let bounds = self.delivery.secret.as_ref().map(|_| Bounds::new(&self.egress.options()));
        Ok(bounds.transpose()?.map(Arc::new))
    }

    /// What deliveries need; none if nobody is to be told of anything.
    pub(crate) fn deliverer(&self) -> anyhow::Result<qd_engine::WebhookOptions> {
        if !self.has_webhooks() {
            return Ok(None);
        }
        let d = &self.delivery;
        let mut endpoints = BTreeMap::new();
        for (name, webhook) in &self.webhooks {
            let secrets = signing([Some(&webhook.secret), webhook.previous_secret.as_ref()])?;
            endpoints.insert(name.clone(), qd_engine::Endpoint { url: webhook.url.clone(), secrets });
        }
        let timeout = Duration::from_secs(d.timeout_seconds);
        Ok(Some(Arc::new(qd_engine::Webhooks {
            endpoints,
            job_secrets: signing([d.secret.as_ref(), d.previous_secret.as_ref()])?,
            // Connecting is part of the try.
            guard: qd_egress::Guard::new(&self.egress.options(), timeout.min(Duration::from_secs(5)))?,
            show: qd_gateway::job_json,
            show_batch: qd_gateway::batch_json,
            tell: qd_gateway::amp_json,
            per_endpoint: d.per_endpoint,
            at_once: d.at_once,
            timeout,
            disable_after: Duration::from_secs(d.disable_after_hours * 3_600),
        })))
    }
}

fn signing(secrets: [Option<&Hidden>; 2]) -> anyhow::Result<Vec<SigningSecret>> {
    let parsed = secrets.into_iter().flatten().map(|secret| SigningSecret::parse(secret.expose()));
    Ok(parsed.collect::<Result<_, _>>()?)
}
