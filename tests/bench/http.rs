//! A client that does as little as it can: one request, written out before,
//! again and again over connections that stay open. What asks has no more
//! cores than what answers.

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use tokio::task::{JoinSet, spawn_blocking};

use crate::{Result, pace::Pace};

/// How many connections ask at a time, each as soon as it is answered.
const CONNECTIONS: usize = 8;

/// A request, written out.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    address: String,
    text: String,
}

impl Ask {
    /// `GET` of a path at `http://address`.
    pub(crate) fn get(url: &str, path: &str, headers: &[(&str, &str)]) -> Self {
        let address = url.trim_start_matches("http://").to_owned();
        let mut text = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        Self { text: text + "\r\n", address }
    }

    /// How many requests a second are answered while every connection asks
    /// again as soon as it is answered, each on a thread of its own.
    pub(crate) async fn per_second(&self, time: Duration) -> Result<f64> {
        let begun = Instant::now();
        let mut asking = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let mut line = Line::open(self)?;
            asking.spawn_blocking(move || {
                let mut answered = 0_u32;
                while begun.elapsed() < time {
                    line.ask()?;
                    answered += 1;
                }
                Result::Ok(answered)
            });
        }
        let mut answered = 0;
        while let Some(one) = asking.join_next().await {
            answered += one??;
        }
        Ok(f64::from(answered) / begun.elapsed().as_secs_f64())
    }

    /// How many milliseconds each answer takes at this many requests a second,
    /// counted from when the request was due, not from when it was sent.
    pub(crate) async fn latencies(&self, per_second: f64, time: Duration) -> Result<Vec<f64>> {
        let ask = self.clone();
        spawn_blocking(move || Pace::open(&ask, per_second)?.keep(time)).await?
    }

    /// How long one answer takes, over a connection of its own.
    pub(crate) async fn once(&self) -> Result<Duration> {
        let ask = self.clone();
        let asked = spawn_blocking(move || {
            let mut line = Line::open(&ask)?;
            line.ask()?;
            let begun = Instant::now();
            line.ask()?;
            Result::Ok(begun.elapsed())
        });
        asked.await?
    }
}

/// One connection.
pub(crate) struct Line {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
    /// How much of the answer is there.
    read: usize,
}

impl Line {
    pub(crate) fn open(ask: &Ask) -> Result<Self> {
        let stream = TcpStream::connect(&ask.address)?;
        stream.set_nodelay(true)?;
        let request = ask.text.clone().into_bytes();
        Ok(Self { stream, request, buffer: vec![0; 64 << 10], read: 0 })
    }

    pub(crate) fn send(&mut self) -> Result<()> {
        self.read = 0;
        Ok(self.stream.write_all(&self.request)?)
    }

    /// Reads what is there of an answer that must be a success, and waits for
    /// some of it; answers whether that was the last of it.
    pub(crate) fn receive(&mut self) -> Result<bool> {
        if self.read == self.buffer.len() {
            self.buffer.resize(self.read * 2, 0);
        }
        let more = self.stream.read(&mut self.buffer[self.read..])?;
        if more == 0 {
            return Err("the server closed the connection".into());
        }
        self.read += more;
        Ok(whole(&self.buffer[..self.read])?.is_some_and(|whole| self.read >= whole))
    }

    fn ask(&mut self) -> Result<()> {
        self.send()?;
        while !self.receive()? {}
        Ok(())
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// How long an answer is, once its head is there.
fn whole(answer: &[u8]) -> Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..end])?.to_ascii_lowercase();
    if !head.starts_with("http/1.1 200") {
        return Err(format!("not a success: {head}").into());
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.ok_or("an answer without a length")?.trim().parse()?;
    Ok(Some(end + 4 + length))
}
