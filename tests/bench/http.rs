//! A client that does as little as it can: one request, written out before,
//! again and again over connections that stay open.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::sleep_until,
};

use crate::{Result, rounds::millis};

/// How many connections ask at a time.
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
    /// again as soon as it is answered.
    pub(crate) async fn per_second(&self, time: Duration) -> Result<f64> {
        let begun = Instant::now();
        let mut asking = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let mut line = Line::open(self).await?;
            asking.spawn(async move {
                let mut answered = 0_u32;
                while begun.elapsed() < time {
                    line.ask().await?;
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
        let every = Duration::from_secs_f64(CONNECTIONS as f64 / per_second);
        let begun = Instant::now() + Duration::from_millis(10);
        let mut asking = JoinSet::new();
        for number in 0..CONNECTIONS {
            let mut line = Line::open(self).await?;
            let mut due = begun + every.mul_f64(number as f64 / CONNECTIONS as f64);
            asking.spawn(async move {
                let mut took = Vec::new();
                while due < begun + time {
                    sleep_until(due.into()).await;
                    line.ask().await?;
                    took.push(millis(due.elapsed()));
                    due += every;
                }
                Result::Ok(took)
            });
        }
        let mut all = Vec::new();
        while let Some(one) = asking.join_next().await {
            all.extend(one??);
        }
        Ok(all)
    }

    /// How long one answer takes, over a connection of its own.
    pub(crate) async fn once(&self) -> Result<Duration> {
        let mut line = Line::open(self).await?;
        line.ask().await?;
        let begun = Instant::now();
        line.ask().await?;
        Ok(begun.elapsed())
    }
}

/// One connection.
struct Line {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Line {
    async fn open(ask: &Ask) -> Result<Self> {
        let stream = TcpStream::connect(&ask.address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: ask.text.clone().into_bytes(), buffer: vec![0; 64 << 10] })
    }

    /// Asks, and reads an answer that must be a success.
    async fn ask(&mut self) -> Result<()> {
        self.stream.write_all(&self.request).await?;
        let mut read = 0;
        loop {
            if read == self.buffer.len() {
                self.buffer.resize(read * 2, 0);
            }
            let more = self.stream.read(&mut self.buffer[read..]).await?;
            if more == 0 {
                return Err("the server closed the connection".into());
            }
            read += more;
            if let Some(whole) = whole(&self.buffer[..read])?
                && read >= whole
            {
                return Ok(());
            }
        }
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
