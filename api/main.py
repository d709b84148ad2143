"""`uvicorn api.main:app`: the api of the settings in the environment."""

import failpoints
from api.app import create_app
from settings import Settings

settings = Settings()
if settings.failpoints_dir is not None:
    failpoints.install(failpoints.obey_files(settings.failpoints_dir))
app = create_app(settings)
