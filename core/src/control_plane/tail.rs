//! The newest events, read from the store once for everybody who follows or waits.
//!
//! A thousand followers who each asked the store at each hint would ask it the same thing a thousand times. One task reads
//! what is new and passes it on; whoever begins further back, or falls behind, reads by itself until it has caught up.

use std::sync::Arc;

use tokio::{
    sync::{Notify, broadcast, mpsc},
    time::Instant,
};

use super::Inner;
use crate::{
    error::{Kind, Result},
    event::Event,
    project_ref::ProjectRef,
    store::Wake,
};

/// How many events are read at once.
const EVENTS: u32 = 500;
/// How many pages a follower may be behind before it reads by itself.
const PAGES: usize = 32;

/// Events that follow each other. Without any it only tells how far the numbers have come.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// The number before the first one.
    after: u64,
    /// The number of the last one.
    last: u64,
    events: Arc<[Event]>,
}

/// Where followers and waiters hear of the newest events.
#[derive(Debug)]
pub(super) struct Tail {
    news: broadcast::Sender<Told>,
    followed: Notify,
}

impl Default for Tail {
    fn default() -> Self {
        Self { news: broadcast::Sender::new(PAGES), followed: Notify::new() }
    }
}

impl Tail {
    /// Hears of all events that the store does not have yet when this returns.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Told> {
        let news = self.news.subscribe();
        self.followed.notify_one();
        news
    }
}

impl Inner {
    /// Reads what is new while anybody hears it, until the control plane stops.
    pub(super) async fn tell_news(self: Arc<Self>) {
        let telling = async {
            loop {
                self.tail.followed.notified().await;
                self.tell_followers().await;
            }
        };
        self.stopping.run_until_cancelled(telling).await;
    }

    /// Returns when nobody is left.
    async fn tell_followers(&self) {
        let mut wakes = self.store.subscribe();
        // Begins where the numbers are now: those who follow from further back are told so, and read by themselves.
        let mut told = None;
        while self.tail.news.receiver_count() > 0 {
            let news = match told {
                None => {
                    self.store.sequence().await.map(|last| Told { after: last, last, events: Arc::default() })
                }
                Some(after) => {
                    let page = self.store.events(after, EVENTS).await;
                    page.map(|page| Told { after, last: page.next, events: page.events.into() })
                }
            };
            match news {
                Ok(news) if told == Some(news.last) => self.numbered(&mut wakes).await,
                Ok(news) => {
                    told = Some(news.last);
                    // The last of them may have gone just now.
                    let _ = self.tail.news.send(news);
                }
                Err(error) => {
                    tracing::debug!(error = %error.chain(), "cannot read the newest events");
                    told = told.filter(|_| error.kind() == Kind::Unavailable);
                    self.numbered(&mut wakes).await;
                }
            }
        }
    }

    /// Returns when there may be new events, or at the next look.
    async fn numbered(&self, wakes: &mut broadcast::Receiver<Wake>) {
        let hint = async {
            loop {
                match wakes.recv().await {
                    Ok(Wake::Events) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                    Ok(Wake::Operations | Wake::Written) => {}
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        // Without a hint, that was the look.
        let _ = tokio::time::timeout(self.settings.poll, hint).await;
    }

    /// Sends events after a number, until nobody takes them or an error ends it.
    pub(super) async fn send_events(&self, mut after: u64, sender: &mpsc::Sender<Result<Event>>) {
        let mut news = self.tail.subscribe();
        loop {
            match self.store.events(after, EVENTS).await {
                Ok(page) if !page.events.is_empty() => {
                    after = page.next;
                    for event in page.events {
                        if sender.send(Ok(event)).await.is_err() {
                            return;
                        }
                    }
                    continue;
                }
                Ok(_) => {}
                Err(error) if error.kind() == Kind::Unavailable => {
                    tokio::time::sleep(self.settings.poll).await;
                    continue;
                }
                Err(error) => {
                    // The reader may have gone meanwhile.
                    let _ = sender.send(Err(error)).await;
                    return;
                }
            }
            // Until it falls behind, what is told is all there is.
            while let Ok(told) = news.recv().await {
                if told.last <= after {
                    continue;
                }
                if told.after > after {
                    break;
                }
                for event in told.events.iter().filter(|event| event.sequence > after) {
                    if sender.send(Ok(event.clone())).await.is_err() {
                        return;
                    }
                }
                after = told.last;
            }
        }
    }

    /// Waits for news of a project or the next look; false once `until` has passed.
    pub(super) async fn news_of(
        &self,
        project: ProjectRef,
        news: &mut broadcast::Receiver<Told>,
        until: Instant,
    ) -> bool {
        if Instant::now() >= until {
            return false;
        }
        let heard = async {
            loop {
                match news.recv().await {
                    Ok(told) if told.events.iter().any(|event| event.project == project) => return,
                    Ok(told) if told.events.is_empty() => return,
                    Ok(_) => {}
                    Err(broadcast::error::RecvError::Lagged(_)) => return,
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        let look = (Instant::now() + self.settings.poll).min(until);
        // Without news, that was the look.
        let _ = tokio::time::timeout_at(look, heard).await;
        true
    }
}
