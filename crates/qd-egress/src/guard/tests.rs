//! Hostile URLs, every one of which is tried, with a listener on loopback that must hear nothing of them.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{Guard, InvalidOptions, Options, Refusal};
use crate::Lookup;

const CONNECT: Duration = Duration::from_secs(2);

/// `{p}` is the port of the listener. Most of these have been holes in one product or another.
const HOSTILE: &[&str] = &[
    // Loopback in all ways to write an address of IPv4.
    "http://127.0.0.1:{p}",
    "http://127.0.0.1:{p}/",
    "http://127.1:{p}",
    "http://127.0.1:{p}",
    "http://127.255.255.254:{p}",
    "http://127.127.127.127:{p}",
    "http://2130706433:{p}",
    "http://02130706433:{p}",
    "http://017700000001:{p}",
    "http://0x7f000001:{p}",
    "http://0X7F000001:{p}",
    "http://0x7f.1:{p}",
    "http://0x7f.0.1:{p}",
    "http://0x7f.0x0.0x0.0x1:{p}",
    "http://0177.0.0.1:{p}",
    "http://0177.1:{p}",
    "http://0177.0.0.01:{p}",
    "http://0177.0x0.0.1:{p}",
    "http://00000177.0.0.1:{p}",
    "http://0x0000007f.0.0.1:{p}",
    "http://127.0.0.0x1:{p}",
    "http://127.0.0.01:{p}",
    "http://127.0.0.1.:{p}",
    "http://127.0.0.1..:{p}",
    "http://127.000.000.001:{p}",
    "http://127.0.0.1%2e:{p}",
    "http://%31%32%37.0.0.1:{p}",
    "http://127%2e0%2e0%2e1:{p}",
    "http://%6c%6f%63%61%6c%68%6f%73%74:{p}",
    "http://0:{p}",
    "http://0.0.0.0:{p}",
    "http://0.1:{p}",
    "http://00:{p}",
    "http://0x0:{p}",
    "http://0.0.0.0.:{p}",
    // Digits and dots of other scripts.
    "http://①②⑦.⓪.⓪.①:{p}",
    "http://１２７.０.０.１:{p}",
    "http://127。0。0。1:{p}",
    "http://127．0．0．1:{p}",
    "http://127｡0｡0｡1:{p}",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{p}",
    "http://ｌｏｃａｌｈｏｓｔ:{p}",
    "http://loc\u{ad}alhost:{p}",
    // Names of this machine.
    "http://localhost:{p}",
    "http://LOCALHOST:{p}",
    "http://LocalHost:{p}",
    "http://localhost.:{p}",
    "http://a.localhost:{p}",
    "http://a.b.localhost.:{p}",
    "http://canary.test:{p}",
    "http://CANARY.TEST:{p}",
    "http://canary.test.:{p}",
    // IPv6: loopback, mapped, compatible, tunnels, NAT64.
    "http://[::1]:{p}",
    "http://[0:0:0:0:0:0:0:1]:{p}",
    "http://[0000::0001]:{p}",
    "http://[::]:{p}",
    "http://[0::0]:{p}",
    "http://[::ffff:127.0.0.1]:{p}",
    "http://[::ffff:7f00:1]:{p}",
    "http://[::FFFF:127.0.0.1]:{p}",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{p}",
    "http://[::ffff:0:127.0.0.1]:{p}",
    "http://[::127.0.0.1]:{p}",
    "http://[::7f00:1]:{p}",
    "http://[::ffff:0.0.0.0]:{p}",
    "http://[64:ff9b::127.0.0.1]:{p}",
    "http://[64:ff9b::7f00:1]:{p}",
    "http://[64:ff9b:1::7f00:1]:{p}",
    "http://[2002:7f00:1::]:{p}",
    "http://[2002:7f00:0001::1]:{p}",
    "http://[2001:0:7f00:1::]:{p}",
    "http://[2001::1]:{p}",
    "http://[::1%25lo]:{p}",
    "http://[::1%lo]:{p}",
    "http://[fe80::1%25lo]:{p}",
    "http://[fe80::1]:{p}",
    "http://[fec0::1]:{p}",
    "http://[fc00::1]:{p}",
    "http://[fd12:3456::1]:{p}",
    "http://[ff02::1]:{p}",
    "http://[100::1]:{p}",
    "http://[2001:db8::1]:{p}",
    "http://[3fff::1]:{p}",
    "http://[5f00::1]:{p}",
    // Metadata of clouds.
    "http://169.254.169.254/",
    "http://169.254.169.254/latest/meta-data/iam",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0xa9.0xfe.0xa9.0xfe/",
    "http://0251.0376.0251.0376/",
    "http://0251.254.169.254/",
    "http://169.254.43518/",
    "http://169.16689662/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fd20:ce::254]/",
    "http://metadata/",
    "http://metadata./",
    "http://metadata.google.internal/",
    "http://METADATA.google.internal./",
    "http://metadata.goog/",
    "http://instance-data/",
    "http://instance-data.ec2.internal/",
    "http://100.100.100.200/",
    "http://192.0.0.192/",
    "http://168.63.129.16/",
    "http://169.254.170.2/",
    "http://meta.test/",
    "http://169.254.169.254:443/",
    // Private networks and what else is not public.
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://10.1/",
    "http://012.0.0.1/",
    "http://0xa.0.0.1/",
    "http://167772161/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://172.1048577/",
    "http://192.168.0.1/",
    "http://192.168.1/",
    "http://3232235521/",
    "http://0xc0a80001/",
    "http://0300.0250.0.1/",
    "http://100.64.0.1/",
    "http://198.18.0.1/",
    "http://192.0.2.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://192.88.99.1/",
    "http://224.0.0.1/",
    "http://239.255.255.250/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://private.test/",
    "http://mapped.test/",
    "http://nat64.test/",
    "http://all-private.test/",
    // Users, backslashes, tabs: what one parser takes for a host, another takes for something else.
    "http://example.com@127.0.0.1:{p}",
    "http://example.com:80@127.0.0.1:{p}",
    "http://127.0.0.1:{p}@example.com",
    "http://u:p@example.com",
    "http://@127.0.0.1:{p}",
    "http://:@127.0.0.1:{p}",
    "http://127.0.0.1:{p}\\@example.com",
    "http://127.0.0.1:{p}\\.example.com",
    "http:\\\\127.0.0.1:{p}",
    "http:/127.0.0.1:{p}",
    "http:127.0.0.1:{p}",
    "http:////127.0.0.1:{p}",
    "http:///127.0.0.1:{p}",
    "http://127.0.0.1\t:{p}",
    "http://127.0.\n0.1:{p}",
    "ht\ttp://127.0.0.1:{p}",
    " http://127.0.0.1:{p}",
    "http://127.0.0.1:{p} ",
    "\u{1}http://127.0.0.1:{p}",
    "HTTP://127.0.0.1:{p}",
    "hTtP://localhost:{p}",
    "http://127.0.0.1:{p}#@example.com",
    "http://127.0.0.1:{p}?@example.com",
    "http://127.0.0.1:{p};example.com",
    "http://127.0.0.1:{p}/http://example.com",
    "http://127.0.0.1,example.com:{p}",
    "http://127.0.0.1\0.example.com:{p}",
    "http://127.0.0.1 .example.com:{p}",
    "http://[::1].example.com:{p}",
    "http://example.com\r\nhost: 127.0.0.1",
    "http://exa mple.com/",
    "http://[127.0.0.1]:{p}",
    "http://127.0.0.1:0{p}",
    "http://127.0.0.1:99999",
    "http://256.0.0.1:{p}",
    "http://127.0.0.1.1:{p}",
    "http://0x100000000:{p}",
    "http://-1:{p}",
    "http://",
    "http://:{p}",
    "http://.:{p}",
    "//127.0.0.1:{p}",
    "127.0.0.1:{p}",
    "localhost:{p}",
    "/hooks",
    "",
    "?",
    // Other protocols and ports.
    "ftp://127.0.0.1:{p}",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "gopher://127.0.0.1:{p}/_GET",
    "dict://127.0.0.1:{p}/",
    "data:text/plain,hello",
    "javascript:alert(1)",
    "ws://127.0.0.1:{p}",
    "unix:/run/docker.sock",
    "http+unix://%2frun%2fdocker.sock/",
    "jar:http://127.0.0.1:{p}!/",
    "http://example.com:22/",
    "http://example.com:25/",
    "http://example.com:0/",
    "http://example.com:6/",
    "https://example.com:1023/",
];

/// Names that mean what a test says.
#[derive(Clone, Default)]
struct Names(Arc<HashMap<&'static str, Vec<&'static str>>>, Arc<AtomicUsize>);

impl Names {
    fn hostile() -> Self {
        let names = [
            ("canary.test", vec!["127.0.0.1"]),
            ("meta.test", vec!["169.254.169.254"]),
            ("private.test", vec!["10.0.0.1"]),
            ("mapped.test", vec!["::ffff:127.0.0.1"]),
            ("nat64.test", vec!["64:ff9b::7f00:1"]),
            ("all-private.test", vec!["192.168.0.1", "fd00::1", "127.0.0.1", "::1"]),
            ("a.localhost", vec!["127.0.0.1"]),
            ("localhost", vec!["127.0.0.1", "::1"]),
        ];
        Self(Arc::new(names.into()), Arc::default())
    }
}

impl Lookup for Names {
    async fn lookup(&self, name: String) -> io::Result<Vec<SocketAddr>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let found = self.0.get(name.trim_end_matches('.')).cloned().unwrap_or_default();
        Ok(found.into_iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect())
    }
}

fn guard(options: &Options, names: Names) -> Guard {
    // Fails where another test was first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Guard::with_lookup(options, CONNECT, names).unwrap()
}

/// A listener on loopback that counts who comes.
struct Canary {
    port: u16,
    seen: Arc<AtomicUsize>,
    /// Ends with it.
    _listening: JoinSet<()>,
}

impl Canary {
    /// Answers everybody with the same.
    async fn start(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, mut listening) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        let count = Arc::clone(&seen);
        listening.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0; 4_096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { port, seen, _listening: listening }
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

const OK: &str = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";

/// Asks for a URL if the guard lets it; answers the status.
async fn ask(guard: &Guard, url: &str) -> Result<u16, String> {
    let request = guard.request(Method::POST, url).map_err(|refusal| refusal.to_string())?;
    let answer = request.timeout(CONNECT).send().await.map_err(|error| format!("{error:?}"))?;
    Ok(answer.status().as_u16())
}

#[tokio::test]
async fn no_hostile_url_reaches_this_machine_or_its_network() {
    assert!(HOSTILE.len() >= 150, "{}", HOSTILE.len());
    let canary = Canary::start(OK.to_owned()).await;
    let guard = guard(&Options::default(), Names::hostile());
    for url in HOSTILE {
        let url = url.replace("{p}", &canary.port.to_string());
        let answer = ask(&guard, &url).await;
        assert!(answer.is_err(), "{url:?}: {answer:?}");
        assert_eq!(canary.seen(), 0, "{url:?} reached the listener");
    }
    // The listener hears those who are let through: otherwise its silence proves nothing.
    let open = Options { loopback: true, ..Options::default() };
    let guard = self::guard(&open, Names::hostile());
    for url in ["http://127.0.0.1:{p}", "http://localhost:{p}", "http://canary.test:{p}", "http://0x7f.1:{p}"]
    {
        assert_eq!(ask(&guard, &url.replace("{p}", &canary.port.to_string())).await, Ok(204), "{url}");
    }
    assert_eq!(canary.seen(), 4);
}

#[tokio::test]
async fn redirects_lead_nowhere() {
    let inner = Canary::start(OK.to_owned()).await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let head = format!(
            "HTTP/1.1 {status}\r\nlocation: http://127.0.0.1:{}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            inner.port
        );
        let outer = Canary::start(head).await;
        let open = Options { loopback: true, ..Options::default() };
        let answer = ask(&guard(&open, Names::hostile()), &format!("http://127.0.0.1:{}/", outer.port)).await;
        assert_eq!(answer, status[..3].parse().map_err(|_| String::new()), "{status}");
    }
    assert_eq!(inner.seen(), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_looked_up_for_every_connection_and_nothing_else() {
    /// Public at first, this machine afterwards.
    struct Rebinding(Arc<AtomicUsize>);
    impl Lookup for Rebinding {
        async fn lookup(&self, _: String) -> io::Result<Vec<SocketAddr>> {
            let first = self.0.fetch_add(1, Ordering::SeqCst) == 0;
            // Nobody is asked for the first one: the lookup fails in its place.
            if first { Err(io::ErrorKind::NotFound.into()) } else { Ok(vec![([127, 0, 0, 1], 0).into()]) }
        }
    }
    let canary = Canary::start(OK.to_owned()).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asked = Arc::new(AtomicUsize::new(0));
    let guard = Guard::with_lookup(&Options::default(), CONNECT, Rebinding(Arc::clone(&asked))).unwrap();
    let url = format!("http://rebind.test:{}/", canary.port);
    for _ in 0..3 {
        assert!(guard.bounds.check(&url).is_ok(), "nothing is wrong with the name");
        assert!(ask(&guard, &url).await.is_err());
    }
    assert_eq!((asked.load(Ordering::SeqCst), canary.seen()), (3, 0));
}

#[tokio::test]
async fn a_name_that_is_kept_back_is_told_from_one_that_is_not_there() {
    struct Nowhere;
    impl Lookup for Nowhere {
        async fn lookup(&self, _: String) -> io::Result<Vec<SocketAddr>> {
            Err(io::ErrorKind::NotFound.into())
        }
    }
    let known = guard(&Options::default(), Names::hostile());
    let unknown = Guard::with_lookup(&Options::default(), CONNECT, Nowhere).unwrap();
    for (guard, kept_back) in [(known, true), (unknown, false)] {
        let request = guard.request(Method::POST, "http://private.test/").unwrap();
        assert_eq!(crate::is_kept_back(&request.send().await.unwrap_err()), kept_back);
    }
}

#[tokio::test]
async fn of_several_addresses_only_those_that_may_be_reached_are_tried() {
    let names = Names(Arc::new([("mixed.test", vec!["10.0.0.1", "127.0.0.1"])].into()), Arc::default());
    let canary = Canary::start(OK.to_owned()).await;
    let url = format!("http://mixed.test:{}/", canary.port);
    let allowed = Options { allow: vec!["127.0.0.1".to_owned()], ..Options::default() };
    assert_eq!(ask(&guard(&allowed, names.clone()), &url).await, Ok(204));
    let denied = Options { deny: vec!["127.0.0.0/8".to_owned()], ..allowed };
    assert!(ask(&guard(&denied, names), &url).await.is_err());
    assert_eq!(canary.seen(), 1);
}

#[tokio::test]
async fn behind_a_proxy_the_proxy_alone_is_connected_to_and_addresses_are_still_checked() {
    let canary =
        Canary::start("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()).await;
    let names = Names::hostile();
    let proxied =
        Options { proxy: Some(format!("http://canary.test:{}", canary.port)), ..Options::default() };
    let guard = guard(&proxied, names);
    assert_eq!(ask(&guard, "http://receiver.example/hooks").await, Ok(200));
    assert_eq!(canary.seen(), 1);
    for url in ["http://10.0.0.1/", "http://[::1]/", "http://localhost/", "http://metadata.google.internal/"]
    {
        assert!(ask(&guard, url).await.is_err(), "{url}");
    }
    assert_eq!(canary.seen(), 1);
}

#[test]
fn refusals_say_what_is_wrong() {
    let guard = guard(&Options { https_only: true, ..Options::default() }, Names::default());
    for (url, refusal) in [
        ("hooks", Refusal::NoUrl),
        ("ftp://example.com", Refusal::Scheme),
        ("http://example.com", Refusal::NotHttps),
        ("https://ann:secret@example.com", Refusal::UserInfo),
        ("https://example.com:25", Refusal::Port),
        ("https://10.0.0.1", Refusal::NotPublic),
        ("https://localhost", Refusal::NotPublic),
    ] {
        assert_eq!(guard.bounds.check(url).unwrap_err(), refusal, "{url}");
        assert!(!refusal.to_string().contains("secret"));
    }
    assert_eq!(
        guard.bounds.check(&format!("https://example.com/{}", "a".repeat(2_048))).unwrap_err(),
        Refusal::TooLong
    );
    for url in [
        "https://example.com",
        "https://example.com:8443/hooks?a=b",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/",
    ] {
        assert!(guard.bounds.check(url).is_ok(), "{url}");
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let made = |options: Options| Guard::new(&options, CONNECT).map(|_| ());
    let allow = |text: &str| Options { allow: vec![text.to_owned()], ..Options::default() };
    assert_eq!(made(allow("10.0.0.0/33")), Err(InvalidOptions::Network("10.0.0.0/33".to_owned())));
    assert_eq!(made(allow("example.com")), Err(InvalidOptions::Network("example.com".to_owned())));
    let proxy = |text: &str| Options { proxy: Some(text.to_owned()), ..Options::default() };
    assert_eq!(made(proxy("proxy.example:3128")), Err(InvalidOptions::Proxy));
    assert_eq!(made(proxy("socks5://proxy.example")), Err(InvalidOptions::Proxy));
}
