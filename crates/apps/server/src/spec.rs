//! From a request to a complete specification: defaults are filled in here, once.

use om_api::CreateService;
use om_engines::catalog;
use om_model::spec::REPLICAS_MAX;
use om_model::{ByteSize, FieldError, Invalid, Place, Resources, ServiceName, ServiceSpec, VolumeSizes};

const REPLICAS: u32 = 3;
const MEMORY: ByteSize = ByteSize::bytes(1 << 30);

/// The service's name and what is wanted, or everything that is wrong with the request.
pub(crate) fn specification(request: CreateService) -> Result<(ServiceName, ServiceSpec), Invalid> {
    let mut problems = Vec::new();
    let name = request.name.parse::<ServiceName>().map_err(|error| problems.push(error)).ok();
    let engine = catalog::find(&request.engine).map_err(|error| problems.push(error)).ok();
    let replicas = u16::try_from(request.replicas.unwrap_or(REPLICAS)).unwrap_or_else(|_| {
        let problem = format!("is {}", request.replicas.unwrap_or_default());
        problems.push(FieldError::new("replicas", problem, format!("1 to {REPLICAS_MAX}")));
        1
    });
    let version = request.version.or(engine.map(|engine| engine.default_version().to_owned()));
    let resources = request.resources.map_or(Resources { memory: MEMORY, cpu_millis: None }, |asked| Resources {
        memory: asked.memory.into(),
        cpu_millis: asked.cpu_millis,
    });
    let volumes = VolumeSizes { data: request.volumes.data.into(), journal: request.volumes.journal.map(Into::into) };
    let spec = ServiceSpec {
        engine: request.engine,
        version: version.unwrap_or_default(),
        image: request.image,
        replicas,
        resources,
        volumes,
        settings: request.settings,
        options: request.options,
        places: places(request.places, &mut problems),
    };
    problems.extend(spec.problems());
    problems.extend(engine.into_iter().flat_map(|engine| engine.problems(&spec)));
    match name {
        Some(name) if problems.is_empty() => Ok((name, spec)),
        _ => Err(Invalid::unless_empty(problems).expect_err("a refused name is among the problems")),
    }
}

fn places(asked: Vec<om_api::Place>, problems: &mut Vec<FieldError>) -> Vec<Place> {
    let mut places = Vec::new();
    for (i, place) in asked.into_iter().enumerate() {
        match place.region.parse() {
            Ok(region) => places.push(Place { region, zone: place.zone }),
            Err(error) => problems.push(FieldError { field: format!("places[{i}].region"), ..error }),
        }
    }
    places
}
