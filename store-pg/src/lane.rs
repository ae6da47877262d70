//! Calls that come while others are under way are carried out together: most of what a statement costs, it costs once.
//!
//! Nobody waits for others to come: a call that finds none before it is carried out at once.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

/// How many calls are carried out together at most.
const TOGETHER: usize = 64;

/// Where calls of one kind wait for those that are under way. What it cannot do for a call, the caller does.
pub(crate) struct Lane<Call, Answer>(mpsc::UnboundedSender<Waiting<Call, Answer>>);

struct Waiting<Call, Answer> {
    call: Arc<Call>,
    answer: oneshot::Sender<Option<Answer>>,
}

impl<Call, Answer> Lane<Call, Answer>
where
    Call: Send + Sync + 'static,
    Answer: Send + 'static,
{
    /// Begins to carry calls out, by something that gives an answer for each or leaves it to its caller. Ends when it is
    /// dropped.
    pub(crate) fn start<Work>(work: impl Fn(Vec<Arc<Call>>) -> Work + Send + 'static) -> Self
    where
        Work: Future<Output = Vec<Option<Answer>>> + Send,
    {
        let (sender, mut waiting) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut together = Vec::new();
            while waiting.recv_many(&mut together, TOGETHER).await > 0 {
                let (calls, answers): (Vec<_>, Vec<_>) =
                    together.drain(..).map(|Waiting { call, answer }| (call, answer)).unzip();
                for (answer, done) in answers.into_iter().zip(work(calls).await) {
                    // Whoever asked may have gone.
                    let _ = answer.send(done);
                }
            }
        });
        Self(sender)
    }

    /// The answer, or `None` if the caller has to do it by itself.
    pub(crate) async fn ask(&self, call: &Arc<Call>) -> Option<Answer> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Waiting { call: Arc::clone(call), answer }).ok()?;
        answered.await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_while_a_call_is_under_way_is_carried_out_together_and_each_has_its_own_answer() {
        let lane = Arc::new(Lane::start(|calls: Vec<Arc<u32>>| async move {
            tokio::task::yield_now().await;
            let together = calls.len();
            calls.iter().map(|call| (**call != 3).then_some((**call, together))).collect()
        }));
        let calls = (0..5).map(|call| {
            let lane = Arc::clone(&lane);
            async move { lane.ask(&Arc::new(call)).await }
        });
        let answers: Vec<_> = calls.map(tokio::spawn).collect();
        let mut answered = Vec::new();
        for answer in answers {
            answered.push(answer.await.unwrap());
        }
        assert_eq!(answered[3], None);
        answered.remove(3);
        assert!(answered.iter().flatten().map(|(call, _)| *call).eq([0, 1, 2, 4]), "{answered:?}");
        assert!(answered.iter().flatten().any(|(_, together)| *together > 1), "{answered:?}");
    }
}
