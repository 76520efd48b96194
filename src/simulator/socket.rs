//! Connections that can be broken on purpose: what HTTP cannot say is done to the socket.

use std::{
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::server::TlsStream;

use super::{Simulator, tls::Secure};

/// Accepts connections that a [`Wire`] can break, and counts them.
pub(super) struct Loopback {
    pub(super) door: Door,
    pub(super) address: SocketAddr,
    pub(super) simulator: Simulator,
}

/// Where connections come in.
pub(super) enum Door {
    Plain(TcpListener),
    Tls(mpsc::Receiver<Secure>),
}

/// One connection.
pub(super) struct Socket {
    stream: Stream,
    wire: Wire,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The handle by which an answer breaks its own connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Wire(Arc<AtomicBool>);

impl Wire {
    /// Resets the connection as soon as it is written to, read from or closed.
    pub(super) fn reset(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn broken(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Socket {
    /// Fails, once the wire is to be reset.
    fn check(&self) -> io::Result<()> {
        if self.wire.broken() { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.wire.broken() {
            // A linger time of 0 makes the close a reset (RST). Where it cannot be set, the client
            // sees an early end instead.
            let stream = match &self.stream {
                Stream::Plain(stream) => stream,
                Stream::Tls(stream) => stream.get_ref().0,
            };
            let _ = stream.set_zero_linger();
        }
    }
}

impl Listener for Loopback {
    type Io = Socket;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Socket, SocketAddr) {
        let (stream, peer) = match &mut self.door {
            Door::Plain(listener) => {
                let (stream, peer) = Listener::accept(listener).await;
                // Small answers must not wait for the client's acknowledgements. Where it cannot be
                // set, they do.
                let _ = stream.set_nodelay(true);
                (Stream::Plain(stream), peer)
            }
            Door::Tls(inbox) => match inbox.recv().await {
                Some((stream, peer)) => (Stream::Tls(Box::new(stream)), peer),
                None => std::future::pending().await,
            },
        };
        self.simulator.count_connection();
        (Socket { stream, wire: Wire::default() }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Connected<IncomingStream<'_, Loopback>> for Wire {
    fn connect_info(stream: IncomingStream<'_, Loopback>) -> Self {
        stream.io().wire.clone()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        match &mut self.stream {
            Stream::Plain(stream) => pin!(stream).poll_read(context, buffer),
            Stream::Tls(stream) => pin!(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        match &mut self.stream {
            Stream::Plain(stream) => pin!(stream).poll_write(context, bytes),
            Stream::Tls(stream) => pin!(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => pin!(stream).poll_flush(context),
            Stream::Tls(stream) => pin!(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        match &mut self.stream {
            Stream::Plain(stream) => pin!(stream).poll_shutdown(context),
            Stream::Tls(stream) => pin!(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        match &mut self.stream {
            Stream::Plain(stream) => pin!(stream).poll_write_vectored(context, slices),
            Stream::Tls(stream) => pin!(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
