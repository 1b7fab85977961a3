//! Ports of our own, and the endpoints of models.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::Value;

use super::Finding;
use crate::config::Config;

/// How long anybody may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the ports of the server are free, or who has them.
pub(super) async fn ports(config: &Config) -> Vec<Finding> {
    let server = &config.settings.server;
    let mut said = Vec::new();
    for (setting, flag, address) in [
        ("server.listen", "--listen", &server.listen),
        ("server.admin_listen", "--admin-listen", &server.admin_listen),
    ] {
        if let Ok(address) = address.parse::<SocketAddr>() {
            said.push(port(setting, flag, address).await);
        }
    }
    said
}

async fn port(setting: &str, flag: &str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::fine("port", format!("{address} is free ({setting})")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let fix =
                format!("stop whoever has it (`ss -ltnp`), or choose another port with {setting} or {flag}");
            match ours(address).await {
                Some(word) => Finding::warning(
                    "port",
                    format!("{address} is taken by a Quarterdeck server, which is {word} ({setting})"),
                    format!("fine, if that is your server; a second one takes {flag} with another port"),
                ),
                None => {
                    Finding::wrong("port", format!("{address} is taken by another program ({setting})"), fix)
                }
            }
        }
        Err(error) => {
            let fix = format!("give {setting} an address of this machine, and a port above 1023");
            Finding::wrong("port", format!("{address} cannot be listened on: {error} ({setting})"), fix)
        }
    }
}

/// What a server of ours says about itself.
async fn ours(address: SocketAddr) -> Option<String> {
    let http = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().ok()?;
    let answer: Value = http.get(format!("http://{address}/health")).send().await.ok()?.json().await.ok()?;
    answer["tasks_in_flight"].is_number().then(|| answer["status"].as_str().unwrap_or("there").to_owned())
}

/// Whether the endpoints of models answer at all. No call is made that anybody bills.
pub(super) async fn endpoints(config: &Config) -> Vec<Finding> {
    let mut said = Vec::new();
    for (name, provider) in &config.models.providers {
        if let Some(url) = &provider.base_url {
            said.push(endpoint(name, url).await);
        }
    }
    said
}

async fn endpoint(name: &str, url: &str) -> Finding {
    let answer = async {
        let http = reqwest::Client::builder().timeout(PATIENCE).build()?;
        http.get(format!("{}/models", url.trim_end_matches('/'))).send().await
    };
    match answer.await {
        // Without a key most say 401, which is an answer.
        Ok(answer) if !answer.status().is_server_error() => {
            Finding::fine("endpoint", format!("{name} answers at {url}"))
        }
        Ok(answer) => Finding::warning(
            "endpoint",
            format!("{name} answers {} at {url}", answer.status()),
            "look at the provider's status page; calls are tried again meanwhile",
        ),
        Err(error) => {
            let why = crate::client::cause(&error);
            let fix =
                format!("look at the network, a proxy (HTTPS_PROXY), or base_url of [providers.{name}]");
            Finding::wrong("endpoint", format!("{name} cannot be reached at {url}: {why}"), fix)
        }
    }
}

/// Whether an address of a provider is on this machine, where no key is asked for.
pub(super) fn is_local(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn addresses_of_this_machine_are_known() {
        for (url, local) in [
            ("http://localhost:11434/v1", true),
            ("http://127.0.0.1/v1", true),
            ("http://[::1]:8000/v1", true),
            ("https://api.openai.com/v1", false),
            ("http://localhost.example.com", false),
        ] {
            assert_eq!(is_local(url), local, "{url}");
        }
    }
}
