"""`uvicorn api.main:app`: the api of the settings in the environment."""

from api.app import create_app
from settings import Settings

app = create_app(Settings())
