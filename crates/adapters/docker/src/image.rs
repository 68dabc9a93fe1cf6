//! Which image to run: one that is here, else one that can be had.

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt;
use om_backend::{ErrorKind, PortError, Result};

use crate::client::{DockerEngine, failed, status};

impl DockerEngine {
    /// The first candidate that is present, else the first that can be pulled.
    pub(crate) async fn resolve_image(&self, candidates: &[String]) -> Result<String> {
        for image in candidates {
            if self.has_image(image).await? {
                return Ok(image.clone());
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
        let detail = format!("none is on this machine, and none could be pulled: {}", tried.join("; "));
        Err(PortError::new(ErrorKind::NotFound, "find image", subject, detail)
            .advise("make one from the distribution's packages: openmanage image build ENGINE"))
    }

    async fn has_image(&self, image: &str) -> Result<bool> {
        match self.client().await?.inspect_image(image).await {
            Ok(_) => Ok(true),
            Err(error) if status(&error) == Some(404) => Ok(false),
            Err(error) => Err(failed("look for image", image, error)),
        }
    }

    async fn pull(&self, image: &str) -> Result<()> {
        // Without a tag Docker would pull every tag there is. A colon before the last slash belongs to a port.
        let named = image.contains('@') || image.rsplit('/').next().is_some_and(|last| last.contains(':'));
        let image = if named { image.to_owned() } else { format!("{image}:latest") };
        let options = CreateImageOptionsBuilder::default().from_image(&image).build();
        let mut progress = std::pin::pin!(self.client().await?.create_image(Some(options), None, None));
        while let Some(step) = progress.next().await {
            step.map_err(|error| failed("pull image", &image, error))?;
        }
        Ok(())
    }
}
