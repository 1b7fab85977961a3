//! Where the load goes: to this machine, unless somebody says that another one may be loaded.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;

use crate::exit::{Exit, ended};

/// A server that may be loaded, at addresses that were looked up once: a name that points elsewhere later changes nothing.
#[derive(Debug)]
pub(super) struct Aim {
    pub(super) url: Url,
    pub(super) addresses: Vec<SocketAddr>,
}

/// Looks a server up; refuses one elsewhere.
pub(super) async fn at(text: &str, allow_remote: bool) -> anyhow::Result<Aim> {
    let url = read(text).map_err(|why| ended(Exit::Usage, why))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(80);
    let found = tokio::net::lookup_host((host.as_str(), port)).await;
    let addresses: Vec<_> = found.map(Iterator::collect).unwrap_or_default();
    if addresses.is_empty() {
        return Err(ended(Exit::Unreachable, format!("the name `{host}` of {text} has no address")));
    }
    if !allow_remote && let Some(elsewhere) = addresses.iter().map(SocketAddr::ip).find(|ip| !is_here(*ip)) {
        let message = format!(
            "{text} is not on this machine (`{host}` has the address {elsewhere}). A load test takes a server to its \
             limits, and every job costs what its crew's models cost. If that server is yours to load, add --allow-remote"
        );
        return Err(ended(Exit::Usage, message));
    }
    Ok(Aim { url, addresses })
}

fn read(text: &str) -> Result<Url, String> {
    let wrong = |why: &str| format!("--url {text}: {why}; it looks like http://127.0.0.1:8000");
    let url: Url = text.trim_end_matches('/').parse().map_err(|_| wrong("is no URL of a server"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("is no URL of a server"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("--url: a user in the URL is not sent to any server; leave it out".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has more than a server's address"));
    }
    Ok(url)
}

/// Loopback, also where an IPv6 address stands for one of IPv4.
fn is_here(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::{at, read};

    #[tokio::test]
    async fn this_machine_alone_is_loaded_unless_somebody_says_otherwise() {
        for (url, here) in [
            ("http://127.0.0.1:8000", true),
            ("http://127.8.9.1:8000", true),
            ("http://localhost:8000", true),
            ("http://[::1]:8000", true),
            ("https://[::1]", true),
            ("http://[::ffff:127.0.0.1]:8000", true),
            // Other ways to write loopback.
            ("http://2130706433:8000", true),
            ("http://0x7f.1:8000", true),
            ("http://0177.0.0.1:8000", true),
            ("http://10.0.0.5:8000", false),
            ("http://192.168.1.1", false),
            ("http://169.254.169.254", false),
            ("http://128.0.0.1", false),
            ("http://0.0.0.0:8000", false),
            ("http://[::]:8000", false),
            ("http://[::ffff:10.0.0.1]:8000", false),
            ("http://[fe80::1]:8000", false),
            ("http://8.8.8.8", false),
        ] {
            let found = at(url, false).await;
            assert_eq!(found.is_ok(), here, "{url}: {found:?}");
            if let Err(error) = found {
                let error = error.to_string();
                assert!(
                    error.contains("is not on this machine") && error.contains("--allow-remote"),
                    "{error}"
                );
            }
            assert!(at(url, true).await.is_ok(), "{url}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_server_is_refused() {
        for (url, why) in [
            ("localhost:8000", "is no URL of a server"),
            ("ftp://127.0.0.1", "is no URL of a server"),
            ("file:///etc/passwd", "is no URL of a server"),
            ("http://", "is no URL of a server"),
            ("http://127.0.0.1@10.0.0.5/", "leave it out"),
            ("http://ann:secret@127.0.0.1", "leave it out"),
            ("http://127.0.0.1/?a=b", "more than a server's address"),
            ("http://127.0.0.1/#a", "more than a server's address"),
        ] {
            let error = read(url).unwrap_err();
            assert!(error.contains(why) && !error.contains("secret"), "{url}: {error}");
        }
        assert_eq!(read("http://127.0.0.1:8000/").unwrap().as_str(), "http://127.0.0.1:8000/");
    }
}
