//! A TCP proxy that can hold back the bytes that a client sends.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    spawn,
    sync::watch,
    time::sleep,
};

/// The treatment of the bytes that clients send.
#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    /// Forwards everything.
    Open,
    /// Holds bytes that contain this text until the mode is `Open`, even if the client has disconnected by then.
    Hold(&'static str),
    /// Holds the first bytes that contain this text, as `Hold` does, and forwards everything else. Later bytes of the held connection
    /// are lost.
    HoldOne(&'static str),
    /// Accepts connections and never answers on them.
    Silent,
    /// Forwards everything this much later.
    Slow(Duration),
}

/// A running proxy. It stops with the runtime of its test.
pub struct FaultProxy {
    port: u16,
    mode: watch::Sender<Mode>,
    /// True once `HoldOne` has held bytes.
    held: Arc<AtomicBool>,
}

impl FaultProxy {
    pub async fn start(server: u16, mode: Mode) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, modes) = watch::channel(mode);
        let held = Arc::new(AtomicBool::new(false));
        spawn(accept(listener, server, modes, held.clone()));
        Self { port, mode, held }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub fn set(&self, mode: Mode) {
        if mode != Mode::Open {
            self.held.store(false, Ordering::SeqCst);
        }
        self.mode.send_replace(mode);
    }
}

async fn accept(listener: TcpListener, server: u16, modes: watch::Receiver<Mode>, held: Arc<AtomicBool>) {
    let mut silent = Vec::new();
    while let Ok((client, _)) = listener.accept().await {
        if *modes.borrow() == Mode::Silent {
            silent.push(client);
            continue;
        }
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else {
            continue;
        };
        let (from_client, mut to_client) = client.into_split();
        let (mut from_server, to_server) = server.into_split();
        spawn(forward(from_client, to_server, modes.clone(), held.clone()));
        spawn(async move { copy(&mut from_server, &mut to_client).await });
    }
}

async fn forward(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    mut modes: watch::Receiver<Mode>,
    held: Arc<AtomicBool>,
) {
    let mut buffer = [0; 16_384];
    while let Ok(len @ 1..) = client.read(&mut buffer).await {
        let sent = &buffer[..len];
        let contains = |text: &str| sent.windows(text.len()).any(|window| window == text.as_bytes());
        let mode = *modes.borrow();
        let (hold, is_last) = match mode {
            Mode::Hold(text) => (contains(text), false),
            Mode::HoldOne(text) => {
                let hold = contains(text) && !held.swap(true, Ordering::SeqCst);
                (hold, hold)
            }
            Mode::Slow(delay) => {
                sleep(delay).await;
                (false, false)
            }
            Mode::Open | Mode::Silent => (false, false),
        };
        if hold && modes.wait_for(|mode| *mode == Mode::Open).await.is_err() {
            return;
        }
        if server.write_all(sent).await.is_err() || is_last {
            return;
        }
    }
}
