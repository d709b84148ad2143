"""Flow 8: accounts and settings. Its rows use an account of their own, so that no real one has its key replaced."""

from cli.checklist.expecting import Skipped, check, text
from cli.checklist.row import Row
from cli.checklist.tester import Tester

FLOW = "Fluxo 8: Autenticação e Configurações"


def register(tester: Tester) -> str:
    made = tester.made
    made.email, made.password, made.token = tester.register()
    check(made.token.count(".") == 2, "o token não é um JWT")
    return f"registrado: {made.email}"


def log_in(tester: Tester) -> str:
    body = tester.ask("POST", "/api/auth/login", json={"email": tester.made.email, "password": tester.made.password})
    tester.made.token = text(body, "token")
    check(tester.made.token.count(".") == 2, "o token não é um JWT")
    return "token JWT recebido"


def read_settings(tester: Tester) -> str:
    body = tester.ask("GET", "/api/settings", headers=own(tester))
    check(isinstance(body.get("settings"), dict), f"falta 'settings': {str(body)[:200]}")
    return f"chave Vast.ai: {body.get('vast_api_key') or 'nenhuma'}"


def save_key(tester: Tester) -> str:
    if not tester.vast_key:
        raise Skipped("sem chave da Vast.ai para testar: use --vast-key")
    body = tester.ask("PUT", "/api/settings", json={"vast_api_key": tester.vast_key}, headers=own(tester))
    check(body.get("success") is True, f"success: {body.get('success')}, {body.get('message')}")
    check(body.get("key_status") == "valid", f"a chave não foi aceita: {body.get('key_status')}")
    return f"chave salva e verificada: {body['key_status']}"


def read_balance(tester: Tester) -> str:
    body = tester.ask("GET", "/api/balance", headers=own(tester))
    check(isinstance(body.get("credit"), int | float), f"falta 'credit': {str(body)[:200]}")
    return f"saldo: US$ {body['credit']:.2f}"


def own(tester: Tester) -> dict[str, str]:
    """As the account that this flow registered."""
    return {"Authorization": f"Bearer {tester.made.token}"}


ROWS = (
    Row(
        id="8.1",
        flow=FLOW,
        title="Registrar usuário",
        request="`POST /api/auth/register`",
        expected="Token JWT",
        step=register,
    ),
    Row(
        id="8.2",
        flow=FLOW,
        title="Login",
        request="`POST /api/auth/login`",
        expected="Token JWT",
        step=log_in,
        needs=("8.1",),
    ),
    Row(
        id="8.3",
        flow=FLOW,
        title="Obter settings",
        request="`GET /api/settings`",
        expected="Configurações do usuário",
        step=read_settings,
        needs=("8.1",),
    ),
    Row(
        id="8.4",
        flow=FLOW,
        title="Atualizar API key",
        request="`PUT /api/settings`",
        expected="Success",
        step=save_key,
        needs=("8.1",),
    ),
    Row(
        id="8.5",
        flow=FLOW,
        title="Verificar saldo",
        request="`GET /api/balance`",
        expected="Saldo Vast.ai",
        step=read_balance,
        needs=("8.1",),
    ),
)
