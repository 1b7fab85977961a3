//! Single keys of a terminal, without waiting for Enter.

use std::io::{IsTerminal, Read};

use qd_env::Env;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// `k`
    Kill,
    /// `j`
    More,
    /// `q`
    Quit,
}

/// The keyboard. The terminal is as before when this goes.
pub(super) struct Keys {
    pressed: Option<mpsc::Receiver<Key>>,
    before: Option<Termios>,
}

impl Keys {
    /// Listens to the keyboard, if there is a terminal.
    pub(super) fn start(env: &Env) -> Self {
        let stdin = std::io::stdin();
        let Some(before) = stdin.is_terminal().then(|| tcgetattr(&stdin).ok()).flatten() else {
            return Self { pressed: None, before: None };
        };
        let mut single = before.clone();
        single.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        if tcsetattr(&stdin, OptionalActions::Now, &single).is_err() {
            return Self { pressed: None, before: None };
        }
        let (sender, pressed) = mpsc::channel(8);
        env.spawn(async move {
            // The thread stays in its read until the process ends.
            let _ = tokio::task::spawn_blocking(move || listen(&sender)).await;
        });
        Self { pressed: Some(pressed), before: Some(before) }
    }

    /// Whether there is a keyboard.
    pub(super) fn are_there(&self) -> bool {
        self.pressed.is_some()
    }

    /// The next key; never, without a keyboard.
    pub(super) async fn next(&mut self) -> Key {
        match &mut self.pressed {
            Some(pressed) => match pressed.recv().await {
                Some(key) => key,
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

fn listen(sender: &mpsc::Sender<Key>) {
    let mut byte = [0];
    while let Ok(1) = std::io::stdin().read(&mut byte) {
        let key = match byte[0] {
            b'k' | b'K' => Key::Kill,
            b'j' | b'J' => Key::More,
            b'q' | b'Q' => Key::Quit,
            _ => continue,
        };
        if sender.blocking_send(key).is_err() {
            break;
        }
    }
}
