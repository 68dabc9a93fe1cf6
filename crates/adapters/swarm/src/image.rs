//! Which image to run: one that this manager has, else one that it can have.
//!
//! Every node needs the image; a manager can look at its own only. Where there is no registry, what is here is taken to
//! be everywhere, and a node without it says so in the deployment's error.
//!
//! Swarm pulls again at each start, from a registry that may not answer for 20 s, unless a node's Docker runs with
//! `DOCKER_SERVICE_PREFER_OFFLINE_IMAGE=1`: `deploy/swarm` has the operator set it.

use std::time::Duration;

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt;
use om_backend::{ErrorKind, PortError, Result};

use crate::client::{SwarmOrchestrator, failed, status};

/// Until a registry begins to answer.
const PULL_WITHIN: Duration = Duration::from_secs(180);

impl SwarmOrchestrator {
    /// The first candidate that is present, else the first that can be pulled.
    pub(crate) async fn resolve_image(&self, candidates: &[String]) -> Result<String> {
        for image in candidates {
            match self.client().await?.inspect_image(image).await {
                Ok(_) => return Ok(image.clone()),
                Err(error) if status(&error) == Some(404) => {}
                Err(error) => return Err(failed("look for image", image, error)),
            }
        }
        let mut tried = Vec::new();
        for image in candidates {
            match self.pull(image).await {
                Ok(()) => return Ok(image.clone()),
                Err(error) => tried.push(format!("{image}: {}", error.detail)),
            }
        }
        let subject = candidates.join(" or ");
        let detail = format!("none is on this manager, and none could be pulled: {}", tried.join("; "));
        Err(PortError::new(ErrorKind::NotFound, "find image", subject, detail).advise(
            "make one from the distribution's packages, on every node: openmanage image build ENGINE; or make it on one \
             and hand it on: docker save IMAGE | ssh NODE docker load",
        ))
    }

    async fn pull(&self, image: &str) -> Result<()> {
        // Without a tag Docker would pull every tag there is. A colon before the last slash belongs to a port.
        let named = image.contains('@') || image.rsplit('/').next().is_some_and(|last| last.contains(':'));
        let image = if named { image.to_owned() } else { format!("{image}:latest") };
        let options = CreateImageOptionsBuilder::default().from_image(&image).build();
        let client = self.client().await?.clone().with_timeout(PULL_WITHIN);
        let mut progress = std::pin::pin!(client.create_image(Some(options), None, None));
        while let Some(step) = progress.next().await {
            step.map_err(|error| failed("pull image", &image, error))?;
        }
        Ok(())
    }
}
