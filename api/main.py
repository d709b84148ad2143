"""`uvicorn api.main:app`: the api of the settings in the environment."""

import failpoints
from api.app import create_app
from settings import Settings

settings = Settings()
if settings.points_dir is not None:
    failpoints.install(failpoints.obey_files(settings.points_dir))
app = create_app(settings)
