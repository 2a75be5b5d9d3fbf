//! A client that does as little as it can: one request, written out before,
//! again and again over connections that stay open, each on a thread of its
//! own: threads wake when they are due, a runtime's timers a millisecond later.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use tokio::task::{JoinSet, spawn_blocking};

use crate::{Result, rounds::millis};

/// How many connections ask at a time, each as soon as it is answered.
const CONNECTIONS: usize = 8;
/// How many ask when it is time. One that is answered late asks late, and the
/// more there are, the fewer requests wait behind one another.
const CLIENTS: usize = 64;

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
        let counts = self.on_connections(CONNECTIONS, move |mut line, _| {
            let mut answered = 0_u32;
            while begun.elapsed() < time {
                line.ask()?;
                answered += 1;
            }
            Ok(answered)
        });
        let answered: u32 = counts.await?.into_iter().sum();
        Ok(f64::from(answered) / begun.elapsed().as_secs_f64())
    }

    /// How many milliseconds each answer takes at this many requests a second,
    /// counted from when the request was due, not from when it was sent.
    pub(crate) async fn latencies(&self, per_second: f64, time: Duration) -> Result<Vec<f64>> {
        let every = Duration::from_secs_f64(CLIENTS as f64 / per_second);
        let begun = Instant::now() + Duration::from_millis(10);
        let took = self.on_connections(CLIENTS, move |mut line, number| {
            let mut took = Vec::new();
            let mut due = begun + every.mul_f64(number as f64 / CLIENTS as f64);
            while due < begun + time {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                line.ask()?;
                took.push(millis(due.elapsed()));
                due += every;
            }
            Ok(took)
        });
        Ok(took.await?.into_iter().flatten().collect())
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

    /// Runs `work` on a thread for each connection.
    async fn on_connections<T: Send + 'static>(
        &self,
        connections: usize,
        work: impl Fn(Line, usize) -> Result<T> + Clone + Send + 'static,
    ) -> Result<Vec<T>> {
        let mut asking = JoinSet::new();
        for number in 0..connections {
            let (line, work) = (Line::open(self)?, work.clone());
            asking.spawn_blocking(move || work(line, number));
        }
        let mut all = Vec::new();
        while let Some(one) = asking.join_next().await {
            all.push(one??);
        }
        Ok(all)
    }
}

/// One connection.
struct Line {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Line {
    fn open(ask: &Ask) -> Result<Self> {
        let stream = TcpStream::connect(&ask.address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: ask.text.clone().into_bytes(), buffer: vec![0; 64 << 10] })
    }

    /// Asks, and reads an answer that must be a success.
    fn ask(&mut self) -> Result<()> {
        self.stream.write_all(&self.request)?;
        let mut read = 0;
        loop {
            if read == self.buffer.len() {
                self.buffer.resize(read * 2, 0);
            }
            let more = self.stream.read(&mut self.buffer[read..])?;
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
