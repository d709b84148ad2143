"""Flow 1: a model, deployed and answering."""

import time
from typing import Any

from cli.checklist.expecting import Failed, check, text
from cli.checklist.row import Row
from cli.checklist.tester import Tester

FLOW = "Fluxo 1: Deploy Rápido de Modelo"

LLM = {
    "model_type": "llm",
    "model_id": "Qwen/Qwen2.5-0.5B-Instruct",
    "gpu_type": "RTX 4090",
    "max_price": 0.50,
}


def list_models(tester: Tester) -> str:
    types = [kind["type"] for kind in tester.get("/api/models")["types"]]
    check("llm" in types, f"'llm' não está entre os tipos: {types}")
    return f"tipos: {', '.join(types)}"


def find_offers(tester: Tester) -> str:
    offers = tester.get("/api/instances/offers", gpu_name="RTX 4090")["offers"]
    check(bool(offers), "nenhuma oferta de RTX 4090")
    others = {offer["gpu_name"] for offer in offers if offer["gpu_name"].replace("_", " ").upper() != "RTX 4090"}
    check(not others, f"ofertas de outras GPUs: {others}")
    check(all(offer["dph_total"] > 0 for offer in offers), "há ofertas sem preço")
    return f"{len(offers)} ofertas, a partir de US$ {min(offer['dph_total'] for offer in offers):.3f}/h"


def deploy(tester: Tester) -> str:
    tester.made.deployed_at = time.monotonic()
    body = tester.ask("POST", "/api/models/deploy", json=LLM, expect=(200, 201, 202))
    tester.made.deployment = text(body, "deploy_id")
    tester.made.endpoint_key = body.get("api_key")
    check(isinstance(body.get("instance_id"), int), f"instance_id não é um inteiro: {body.get('instance_id')!r}")
    check(body.get("status") == "deploying", f"status: {body.get('status')}")
    return f"instance_id {body['instance_id']}, status {body['status']}, {tester.made.deployment}"


def await_ready(tester: Tester) -> str:
    path = f"/api/models/{tester.made.deployment}/status"
    status = tester.wait_for("ready", lambda: ready(tester.get(path)))
    seconds = time.monotonic() - tester.made.deployed_at
    tester.made.endpoint = text(status, "endpoint")
    return f"deploying → ready em {seconds:.1f} s, {len(status.get('offers_tried') or [])} oferta(s) tentada(s)"


def ready(status: dict[str, Any]) -> dict[str, Any] | None:
    """The status once it is `ready`; a deploy that is over otherwise fails the row."""
    if status["status"] in ("failed", "stopped"):
        raise Failed(f"status {status['status']}: {status.get('message')}")
    return status if status["status"] == "ready" else None


def list_served(tester: Tester) -> str:
    body = tester.ask("GET", f"{tester.made.endpoint}/v1/models", headers=key(tester))
    served = [model["id"] for model in body["data"]]
    check(LLM["model_id"] in served, f"o modelo não está carregado: {served}")
    return f"carregado: {', '.join(served)}"


def infer(tester: Tester) -> str:
    asked = {"model": LLM["model_id"], "messages": [{"role": "user", "content": "Olá! Quem é você?"}], "max_tokens": 64}
    url = f"{tester.made.endpoint}/v1/chat/completions"
    body = tester.ask("POST", url, json=asked, headers=key(tester))
    answer = body["choices"][0]["message"]["content"]
    check(bool(answer.strip()), "a resposta está vazia")
    return f"resposta: {answer.strip()[:80]}"


def key(tester: Tester) -> dict[str, str]:
    """A private endpoint's own key."""
    return {"Authorization": f"Bearer {tester.made.endpoint_key}"} if tester.made.endpoint_key else {}


ROWS = (
    Row(
        id="1.1.1",
        flow=FLOW,
        title="Listar modelos disponíveis",
        request="`GET /api/models`",
        expected="Lista de tipos de modelo",
        step=list_models,
    ),
    Row(
        id="1.1.2",
        flow=FLOW,
        title="Buscar ofertas de GPU",
        request="`GET /api/instances/offers?gpu_name=RTX 4090`",
        expected="Lista de ofertas com preço",
        step=find_offers,
    ),
    Row(
        id="1.1.3",
        flow=FLOW,
        title="Deploy do modelo",
        request="`POST /api/models/deploy` com body abaixo",
        expected="Retorna instance_id e status",
        step=deploy,
    ),
    Row(
        id="1.1.4",
        flow=FLOW,
        title="Verificar status do deploy",
        request="`GET /api/models/{deploy_id}/status`",
        expected="Status: deploying → ready",
        step=await_ready,
        needs=("1.1.3",),
        measures=("Cold start LLM",),
    ),
    Row(
        id="1.1.5",
        flow=FLOW,
        title="Testar endpoint do modelo",
        request="`curl {endpoint}/v1/models`",
        expected="Lista modelo carregado",
        step=list_served,
        needs=("1.1.4",),
    ),
    Row(
        id="1.1.6",
        flow=FLOW,
        title="Fazer inferência",
        request="`POST {endpoint}/v1/chat/completions`",
        expected="Resposta do modelo",
        step=infer,
        needs=("1.1.4",),
    ),
)
