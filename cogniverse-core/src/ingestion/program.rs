//! A program that runs beside the library and answers JSON lines, so that its model is loaded once.

use super::command_line::words;
use cogniverse_sdk::{Error, ErrorCode, ErrorKind, Result, Retry};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
};

/// The largest number of bytes that a program may print for one request.
const MAX_ANSWER: usize = 4 << 20;
/// The number of bytes of a program's last words that are remembered.
const REMEMBERED: usize = 4096;

/// A program that is started with the first request and serves one after the other.
///
/// Each request is one line of JSON on its standard input, with a number as `id`; its answer is one line of JSON on its
/// standard output with the same `id`, or `{"id": 1, "error": "…"}`. Lines that do not begin with a brace are taken as
/// its log. A program that ends, answers out of turn or takes too long is stopped, and started again for the next
/// request: no answer is ever taken for that of another request.
#[derive(Debug)]
pub(super) struct Program {
    /// The role, such as `the screen reader`.
    what: &'static str,
    /// The code of the error where it is not installed.
    missing: ErrorCode,
    words: Vec<String>,
    timeout: Duration,
    number: AtomicU64,
    running: tokio::sync::Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// The last bytes of its standard error, and what reads them.
    said: Arc<Mutex<Vec<u8>>>,
    hearing: JoinHandle<()>,
}

impl Running {
    fn if_running(mut self) -> Option<Self> {
        matches!(self.child.try_wait(), Ok(None)).then_some(self)
    }
}

impl Program {
    pub(super) fn parse(what: &'static str, missing: ErrorCode, line: &str) -> Result<Self> {
        Ok(Self {
            what,
            missing,
            words: words(what, line)?,
            timeout: Duration::from_secs(300),
            number: AtomicU64::new(0),
            running: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends a request and returns its answer.
    ///
    /// # Errors
    /// `FailedPrecondition` where the program is not installed; `InvalidInput` where it refuses the request;
    /// `Unavailable` where it ends; `Timeout`; `Unexpected` for an answer that is not to this request.
    pub(super) async fn ask(&self, mut request: Map<String, Value>) -> Result<Value> {
        let id = self.number.fetch_add(1, Ordering::Relaxed);
        request.insert("id".to_owned(), id.into());
        let mut line = Value::Object(request).to_string().into_bytes();
        line.push(b'\n');
        // Taken out: a request that is dropped takes the program with it, whose answer would be the next one's.
        let mut slot = self.running.lock().await;
        let work = async {
            let still = slot.take().and_then(Running::if_running);
            let mut running = still.map_or_else(|| self.start(), Ok)?;
            let answer = self.exchange(&mut running, &line).await?;
            Ok::<_, Error>((running, answer))
        };
        let late = |_| {
            let message = format!("{} took longer than {:?}", self.what, self.timeout);
            Error::new(ErrorKind::Timeout, message).with_retry(Retry::After(None))
        };
        let (running, answer) = tokio::time::timeout(self.timeout, work).await.map_err(late)??;
        if answer.get("id").and_then(Value::as_u64) != Some(id) {
            return Err(Error::unexpected(format!(
                "{} answered another request than it was asked; repeat the request's id in each answer",
                self.what
            )));
        }
        *slot = Some(running);
        match answer.get("error").filter(|error| !error.is_null()) {
            Some(error) => Err(Error::new(ErrorKind::InvalidInput, format!("{} refused the pictures", self.what))
                .with_withheld(error.as_str().map_or_else(|| error.to_string(), str::to_owned))),
            None => Ok(answer),
        }
    }

    fn start(&self) -> Result<Running> {
        let (program, arguments) =
            self.words.split_first().ok_or_else(|| Error::unexpected("a program without a name"))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::of(
                self.missing,
                format!("{} {program} is not installed; install it, or name it by its whole path", self.what),
            )
            .with_source(e),
            _ => {
                Error::new(ErrorKind::Unavailable, format!("{} {program} cannot be started", self.what)).with_source(e)
            }
        })?;
        let closed = || Error::unexpected(format!("{} has no input or output", self.what));
        let input = child.stdin.take().ok_or_else(closed)?;
        let output = BufReader::new(child.stdout.take().ok_or_else(closed)?);
        let mut errors = child.stderr.take().ok_or_else(closed)?;
        let said = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&said);
        // Read to its end, which is the program's: a full pipe would stop it.
        let hearing = tokio::spawn(async move {
            let mut part = vec![0; REMEMBERED];
            while let Ok(read) = errors.read(&mut part).await {
                if read == 0 {
                    break;
                }
                let mut kept = kept.lock();
                kept.extend_from_slice(part.get(..read).unwrap_or_default());
                let surplus = kept.len().saturating_sub(REMEMBERED);
                kept.drain(..surplus);
            }
        });
        Ok(Running { child, input, output, said, hearing })
    }

    async fn exchange(&self, running: &mut Running, line: &[u8]) -> Result<Value> {
        let written = async {
            running.input.write_all(line).await?;
            running.input.flush().await
        };
        // What it cannot be sent, it may have explained before it ended.
        let sent = written.await;
        let mut bytes = MAX_ANSWER;
        while sent.is_ok()
            && let Some(line) = self.line(&mut running.output, &mut bytes).await?
        {
            if !line.trim_ascii_start().starts_with(b"{") {
                continue;
            }
            return serde_json::from_slice(&line).map_err(|e| {
                Error::unexpected(format!(
                    "{} answered a line that is no JSON: {}",
                    self.what,
                    cogniverse_sdk::json_problem(&e)
                ))
                .with_withheld(String::from_utf8_lossy(&line))
            });
        }
        let ended = async {
            let status = running.child.wait().await.ok();
            let _ = (&mut running.hearing).await;
            status
        };
        let status = tokio::time::timeout(Duration::from_secs(1), ended).await;
        let status = status.ok().flatten().map_or_else(String::new, |status| format!(" with {status}"));
        let said = super::command_line::last_line(&running.said.lock());
        Err(Error::new(ErrorKind::Unavailable, format!("{} ended{status} before it answered", self.what))
            .with_withheld(said))
    }

    /// Reads a line, of at most as many bytes as are left for the answer; `None` at the end.
    async fn line(&self, output: &mut (impl AsyncBufRead + Unpin), left: &mut usize) -> Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        loop {
            let part = output.fill_buf().await.map_err(|e| {
                Error::new(ErrorKind::Unavailable, format!("{} cannot be read on", self.what)).with_source(e)
            })?;
            if part.is_empty() {
                return Ok((!line.is_empty()).then_some(line));
            }
            let end = part.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(part.len(), |end| end + 1);
            if taken > *left {
                return Err(Error::unexpected(format!("{} answered more than {MAX_ANSWER} bytes", self.what)));
            }
            *left -= taken;
            line.extend_from_slice(part.get(..taken).unwrap_or_default());
            output.consume(taken);
            if end.is_some() {
                return Ok(Some(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell that runs a body for each request, whose line is in `$line` and whose number is in `$id`.
    fn program(body: &str) -> Program {
        let script = format!(
            "while read -r line; do id=$(printf %s \"$line\" | sed \"s/.*\\\"id\\\":\\([0-9]*\\).*/\\1/\"); {body}; done"
        );
        assert!(!script.contains('\''));
        Program::parse("the reader", ErrorCode::ScreenReaderMissing, &format!("sh -c '{script}'")).unwrap()
    }

    async fn ask(program: &Program) -> Result<Value> {
        program.ask(Map::from_iter([("pictures".to_owned(), Value::from(vec!["a.jpg"]))])).await
    }

    #[tokio::test]
    async fn one_program_answers_one_request_after_the_other() {
        let echo = program("n=$((n + 1)); echo loading; echo \"{\\\"id\\\": $id, \\\"n\\\": $n}\"");
        for n in 1..4 {
            let answer = ask(&echo).await.unwrap();
            assert_eq!((&answer["id"], &answer["n"]), (&Value::from(n - 1), &Value::from(n)), "it was started once");
        }
    }

    #[tokio::test]
    async fn what_goes_wrong_is_said_and_the_next_request_starts_anew() {
        let dies = program("echo out of memory >&2; exit 7");
        for _ in 0..2 {
            let error = ask(&dies).await.unwrap_err();
            assert!(error.kind() == ErrorKind::Unavailable && error.to_string().contains("exit status: 7"), "{error}");
            assert!(error.withheld() == Some("out of memory") && !error.chain().contains("memory"), "{error:?}");
        }
        let refuses = program("echo \"{\\\"id\\\": $id, \\\"error\\\": \\\"no picture\\\"}\"");
        let error = ask(&refuses).await.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidInput && error.withheld() == Some("no picture"), "{error:?}");
        let endless = program("head -c 5000000 /dev/zero | tr \"\\0\" x");
        let error = ask(&endless).await.unwrap_err();
        assert!(error.to_string().contains("more than 4194304 bytes"), "{error}");
        assert!(ask(&program("echo \"{no json\"")).await.unwrap_err().to_string().contains("no JSON"));
        let missing = Program::parse("the reader", ErrorCode::ScreenReaderMissing, "no-such-program-anywhere").unwrap();
        assert_eq!(ask(&missing).await.unwrap_err().code(), ErrorCode::ScreenReaderMissing);
    }

    #[tokio::test]
    async fn invariant_05_no_answer_is_taken_for_that_of_another_request() {
        // The first answer comes late, after its request was given up.
        let slow = program("if [ $id = 0 ]; then sleep 2; fi; echo \"{\\\"id\\\": $id, \\\"of\\\": $$}\"");
        let slow = slow.with_timeout(Duration::from_millis(800));
        assert_eq!(ask(&slow).await.unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!(ask(&slow).await.unwrap()["id"], 1);
        let dropped = program("if [ $id = 0 ]; then sleep 1; fi; echo \"{\\\"id\\\": $id}\"");
        assert!(tokio::time::timeout(Duration::from_millis(200), ask(&dropped)).await.is_err());
        assert_eq!(ask(&dropped).await.unwrap()["id"], 1);
        let wrong = program("echo \"{\\\"id\\\": 99}\"");
        let error = ask(&wrong).await.unwrap_err();
        assert!(error.to_string().contains("another request"), "{error}");
    }
}
