//! Where the time went, service by service: what the engine says it did, and when each service answered, asked by us from
//! outside in the same way whoever brings it up.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bollard::{
    Docker,
    models::EventMessage,
    query_parameters::{EventsOptionsBuilder, InspectContainerOptions},
};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::task::JoinHandle;

use crate::stack::{Service, Stack};

/// How often a service is asked.
const PAUSE: Duration = Duration::from_millis(10);

/// What happened in one bringing up.
#[derive(Debug)]
pub(crate) struct Timeline {
    /// Services in the order of their start.
    pub(crate) services: Vec<(String, Moments)>,
    /// When whoever brought it up said that it was ready.
    pub(crate) whole: Duration,
}

/// When things happened to one service, from the beginning.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moments {
    pub(crate) created: Duration,
    pub(crate) started: Duration,
    /// It answered, or, if it is a job, ended. For one that the manifest maps no probe for, when Docker found it healthy.
    pub(crate) ready: Option<Duration>,
}

/// Watches the engine and the services.
pub(crate) struct Observer {
    began: Instant,
    moments: Arc<Mutex<BTreeMap<String, Moments>>>,
    reader: JoinHandle<()>,
}

impl Observer {
    pub(crate) async fn start(stack: &Stack) -> Self {
        let docker = Docker::connect_with_defaults().unwrap();
        let filters = HashMap::from([("type", vec!["container"])]);
        let options = EventsOptionsBuilder::default().filters(&filters).build();
        let services = stack.services.clone();
        let moments: Arc<Mutex<BTreeMap<String, Moments>>> = Arc::default();
        let mut events = Box::pin(docker.events(Some(options)));
        // The subscription begins when it is first asked for something, and the engine answers later requests later.
        assert!(events.next().now_or_never().is_none());
        docker.ping().await.unwrap();
        let began = Instant::now();
        let reader = tokio::spawn({
            let (moments, docker) = (Arc::clone(&moments), docker.clone());
            async move {
                let mut asking = tokio::task::JoinSet::new();
                while let Some(event) = events.next().await {
                    let at = began.elapsed();
                    let Some((name, action, id)) = parts(event.unwrap()) else { continue };
                    let mut all = moments.lock().unwrap();
                    let entry = all.entry(name.clone()).or_default();
                    match action.as_str() {
                        "create" => entry.created = at,
                        "start" => {
                            entry.started = at;
                            let (docker, moments) = (docker.clone(), Arc::clone(&moments));
                            let service = services[&name].clone();
                            asking.spawn(async move {
                                answered(&docker, &id, &name, &service, began, &moments).await
                            });
                        }
                        "die" if services[&name].is_job => entry.ready = Some(at),
                        "health_status: healthy" => entry.ready = entry.ready.or(Some(at)),
                        _ => {}
                    }
                }
            }
        });
        Self { began, moments, reader }
    }

    pub(crate) async fn stop(self) -> Timeline {
        let whole = self.began.elapsed();
        self.reader.abort();
        let moments = std::mem::take(&mut *self.moments.lock().unwrap());
        let mut services: Vec<_> = moments.into_iter().collect();
        for (_, moments) in &mut services {
            // Whoever brings it up may have its answer before we have ours.
            moments.ready = moments.ready.or(Some(whole));
        }
        services.sort_by_key(|(_, moments)| moments.started);
        Timeline { services, whole }
    }
}

async fn answered(
    docker: &Docker,
    id: &str,
    name: &str,
    service: &Service,
    began: Instant,
    moments: &Mutex<BTreeMap<String, Moments>>,
) {
    let (false, Some(probe)) = (service.is_job, &service.probe) else { return };
    let found = docker.inspect_container(id, None::<InspectContainerOptions>).await.unwrap();
    let networks = found.network_settings.unwrap().networks.unwrap();
    let address = networks.into_values().next().unwrap().ip_address.unwrap();
    probe.answered(&address, PAUSE).await;
    moments.lock().unwrap().entry(name.to_owned()).or_default().ready = Some(began.elapsed());
}

fn parts(event: EventMessage) -> Option<(String, String, String)> {
    let actor = event.actor?;
    let name = actor.attributes?.get("com.docker.compose.service")?.clone();
    Some((name, event.action?, actor.id?))
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: Duration| format!("{:6.2}", time.as_secs_f64());
        for (name, moments) in &self.services {
            let ready = moments.ready.map_or("     ?".into(), seconds);
            writeln!(
                f,
                "    {name:12} created {} started {} answered {ready}",
                seconds(moments.created),
                seconds(moments.started)
            )?;
        }
        writeln!(f, "    told ready   {}", seconds(self.whole))
    }
}
