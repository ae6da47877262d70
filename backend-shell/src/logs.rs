//! What the services print, line by line.

use freehold_core::{Context, Error, LogLine, LogRequest, LogStream, Redactor, Result, Runtime, ServiceName};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    sync::mpsc,
};

use crate::{
    ShellBackend,
    hook::{Hook, Running},
    input::Request,
    stack::Stack,
};

/// How many lines wait for a slow reader before the hook has to.
const WAITING: usize = 256;
/// How much of a line is passed on; the rest comes as a line of its own.
const MAX_LINE: u64 = 64 * 1024;

impl ShellBackend {
    /// Runs `logs` and passes its lines on, until it ends or nobody listens any more.
    pub(crate) async fn follow(
        &self,
        ctx: &Context,
        runtime: &Runtime,
        request: &LogRequest,
    ) -> Result<mpsc::Receiver<Result<LogLine>>> {
        let stack = self.stack_of(&runtime.digest)?;
        let wanted = stack.services(&request.services)?;
        let call = Request {
            services: &wanted,
            logs: Some(request),
            ..Self::request(ctx, Hook::Logs, &stack, Some(runtime))
        };
        let reader = Reader {
            main: stack.main_service()?.clone(),
            wanted: wanted.clone(),
            redactor: runtime.redactor(),
        };
        let running = self.invocation(&stack, &call, None)?.start(ctx).await?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let cancellation = ctx.cancellation().clone();
        tokio::spawn(async move {
            tokio::select! {
                () = reader.pass_on(running, &stack, &sender) => {}
                () = sender.closed() => {}
                () = cancellation.cancelled() => {}
            }
        });
        Ok(receiver)
    }
}

/// Turns what the hook prints into lines.
struct Reader {
    main: ServiceName,
    wanted: Vec<ServiceName>,
    redactor: Redactor,
}

impl Reader {
    async fn pass_on(&self, mut running: Running, stack: &Stack, sender: &mpsc::Sender<Result<LogLine>>) {
        let Some(stdout) = running.stdout() else { return };
        let mut stdout = BufReader::new(stdout);
        loop {
            let line = match next_line(&mut stdout).await {
                Ok(Some(line)) => Ok(self.line(stack, &line)),
                Ok(None) => return,
                Err(error) => Err(Error::internal("read the hook's lines").because(error)),
            };
            let over = line.is_err();
            let unwanted = line.as_ref().is_ok_and(|line| !self.wanted.contains(&line.service));
            if !unwanted && (sender.send(line).await.is_err() || over) {
                return;
            }
        }
    }

    /// A line may begin with the name of a service and a tab; else it is the stack's first service's.
    fn line(&self, stack: &Stack, line: &str) -> LogLine {
        let known = |name: &str| stack.spec.services.iter().find(|service| service.name.as_str() == name);
        let (service, text) = match line.split_once('\t').map(|(name, text)| (known(name), text)) {
            Some((Some(service), text)) => (&service.name, text),
            _ => (&self.main, line),
        };
        let line = self.redactor.redact(text);
        LogLine { service: service.clone(), at: None, stream: LogStream::Stdout, line }
    }
}

/// The next line without its end, cut at the bound.
async fn next_line<R: AsyncRead + Unpin>(reader: &mut BufReader<R>) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    if reader.take(MAX_LINE).read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_cut_at_the_bound_and_never_lost() {
        let long = "x".repeat(MAX_LINE as usize + 3);
        let text = format!("one\r\n\n{long}\nlast");
        let mut reader = BufReader::new(text.as_bytes());
        let mut lengths = Vec::new();
        while let Some(line) = next_line(&mut reader).await.unwrap() {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [3, 0, MAX_LINE as usize, 3, 4]);
    }
}
