"""What can be served: the types of models, and the models known by name."""

from fastapi import APIRouter, Security

from api.guard import Guarded
from api.openapi import UNAUTHORIZED, bearer
from api.schemas import Answer
from domain.endpoints.models import FAMILIES, ModelFamily
from domain.endpoints.runtimes import runtime_of

router = APIRouter(
    prefix="/models",
    tags=["models"],
    route_class=Guarded,
    dependencies=[Security(bearer)],
    responses=UNAUTHORIZED,
)


class PopularAnswer(Answer):
    id: str
    name: str
    size: str


class TypeAnswer(Answer):
    type: str
    name: str
    description: str
    runtime: str
    default_port: int
    gpu_memory_gb: float
    popular_models: list[PopularAnswer]


class TemplatesAnswer(Answer):
    templates: list[TypeAnswer]
    types: list[TypeAnswer]
    count: int


class AvailableAnswer(Answer):
    name: str
    id: str
    type: str
    size: str
    provider: str


def _type_answer(family: ModelFamily) -> TypeAnswer:
    runtime = runtime_of(family.type)
    return TypeAnswer(
        type=family.type,
        name=family.name,
        description=family.description,
        runtime=runtime.name,
        default_port=runtime.default_port,
        gpu_memory_gb=family.gpu_memory_gb,
        popular_models=[PopularAnswer.model_validate(model.model_dump()) for model in family.popular],
    )


TYPES = [_type_answer(family) for family in FAMILIES]


@router.get("/templates", summary="Types of models")
async def list_templates() -> TemplatesAnswer:
    return TemplatesAnswer(templates=TYPES, types=TYPES, count=len(TYPES))


@router.get("/available", summary="Models known by name")
async def list_available() -> list[AvailableAnswer]:
    """Others work too: any model that vLLM can load."""
    return [
        AvailableAnswer(
            name=model.name, id=model.id, type=family.type, size=model.size, provider=model.id.split("/")[0]
        )
        for family in FAMILIES
        for model in family.popular
    ]
