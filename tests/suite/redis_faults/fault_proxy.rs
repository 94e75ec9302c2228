//! A TCP proxy that delays, cuts, resets, freezes or drips its connections.

use std::{
    future::pending,
    io,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    spawn,
    sync::watch,
    task::yield_now,
    time::sleep,
};

/// The treatment of connections and of their bytes.
#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    /// Forwards everything.
    Open,
    /// Holds bytes of a client that contain this text until the mode is `Open`, even if the client has disconnected by then.
    Hold(&'static str),
    /// Holds the first bytes that contain this text, as `Hold` does, and forwards everything else. Later bytes of the held connection
    /// are lost.
    HoldOne(&'static str),
    /// Accepts connections and never answers on them.
    Silent,
    /// Forwards the bytes of clients this much later.
    Slow(Duration),
    /// Forwards the bytes of the server one by one, each in a packet of its own and this much later.
    Drip(Duration),
    /// Closes all connections, and new ones too.
    Cut,
    /// Closes all connections with RST, and new ones too.
    Reset,
    /// The connections of this moment stay open, and nothing more arrives on them, as after the loss of a route. New ones work.
    HalfOpen,
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
        let mut modes = modes.clone();
        let mode = *modes.borrow_and_update();
        match mode {
            Mode::Silent => silent.push(client),
            Mode::Cut => {}
            Mode::Reset => reset(&client),
            _ => {
                spawn(relay(client, server, modes, held.clone()));
            }
        }
    }
}

/// Closing the socket then sends RST.
fn reset(socket: &TcpStream) {
    // An error means that the client has closed it first.
    let _ = socket.set_zero_linger();
}

async fn relay(mut client: TcpStream, port: u16, modes: watch::Receiver<Mode>, held: Arc<AtomicBool>) {
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
        return;
    };
    // An error means that the client has closed its socket.
    let _ = client.set_nodelay(true);
    let fault = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let forwarded = async {
            tokio::join!(
                forward(from_client, to_server, modes.clone(), held),
                reply(from_server, to_client, modes.clone())
            )
        };
        tokio::select! {
            _ = forwarded => return,
            fault = fault(modes.clone()) => fault,
        }
    };
    match fault {
        Mode::Reset => reset(&client),
        Mode::HalfOpen => pending().await,
        _ => {}
    }
}

/// Waits until the mode changes to one that ends the connection.
async fn fault(mut modes: watch::Receiver<Mode>) -> Mode {
    while modes.changed().await.is_ok() {
        let mode = *modes.borrow_and_update();
        if matches!(mode, Mode::Cut | Mode::Reset | Mode::HalfOpen) {
            return mode;
        }
    }
    pending().await
}

async fn forward(
    mut client: ReadHalf<'_>,
    mut server: WriteHalf<'_>,
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
            _ => (false, false),
        };
        if hold && modes.wait_for(|mode| *mode == Mode::Open).await.is_err() {
            return;
        }
        if server.write_all(sent).await.is_err() || is_last {
            break;
        }
    }
    let _ = server.shutdown().await;
}

async fn reply(mut server: ReadHalf<'_>, mut client: WriteHalf<'_>, modes: watch::Receiver<Mode>) {
    let mut buffer = [0; 16_384];
    while let Ok(len @ 1..) = server.read(&mut buffer).await {
        if write(&mut client, &buffer[..len], &modes).await.is_err() {
            break;
        }
    }
    let _ = client.shutdown().await;
}

async fn write(
    client: &mut WriteHalf<'_>,
    mut bytes: &[u8],
    modes: &watch::Receiver<Mode>,
) -> io::Result<()> {
    while let Some((first, later)) = bytes.split_first() {
        let mode = *modes.borrow();
        let Mode::Drip(delay) = mode else { break };
        // The timer would round zero up to a millisecond.
        if delay.is_zero() {
            yield_now().await;
        } else {
            sleep(delay).await;
        }
        client.write_all(&[*first]).await?;
        bytes = later;
    }
    client.write_all(bytes).await
}
