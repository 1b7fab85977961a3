//! Where keys and the audit log are managed: through a server, if one is named; else on the store itself, which no server
//! may have open meanwhile.

use qd_env::Env;
use qd_gateway::KeyBook;
use qd_store::Store;

use super::configuration;
use crate::cli::{Global, Target};
use crate::client::Client;
use crate::config::{Config, variable};
use crate::exit::{self, Exit, ended};
use crate::wire;

/// See the module.
pub(super) enum Place {
    Server(Client),
    Store(Box<Local>),
}

/// The store of this machine.
pub(super) struct Local {
    pub(super) store: Store,
    pub(super) keys: KeyBook,
    pub(super) env: Env,
}

impl Place {
    pub(super) async fn of(global: &Global, target: &Target) -> anyhow::Result<Self> {
        if target.url.is_some() || variable("QUARTERDECK_URL").is_some() {
            return Client::of(target).map(Self::Server);
        }
        let config = configuration(global, Vec::new())?;
        if wire::database(&config).is_none() {
            let message =
                "the store is in memory, so that only its server knows the keys; name the server with --url";
            return Err(ended(Exit::Usage, message));
        }
        let env = Env::system();
        let store = wire::open_store(&config, &env).map_err(|error| in_use(error, &config))?;
        let keys = wire::key_book(&config, &store, &env)?;
        Ok(Self::Store(Box::new(Local { store, keys, env })))
    }
}

/// A server has the store open: it is the one to ask.
fn in_use(error: anyhow::Error, config: &Config) -> anyhow::Error {
    if exit::of(&error) != Exit::Conflict {
        return error;
    }
    let listen = &config.settings.server.listen;
    let message = format!(
        "a server has the store open; ask it: add --url http://{listen}, and --key with a key of the scope `admin` if it needs one"
    );
    ended(Exit::Conflict, message)
}
