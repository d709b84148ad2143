"""`uvicorn api.main:app`: the api of the settings in the environment."""

import gc_settings

import failpoints
from api.app import create_app
from settings import Settings

settings = Settings()
if settings.failpoints_dir is not None:
    failpoints.install(failpoints.obey_files(settings.failpoints_dir))
app = create_app(settings)
gc_settings.keep_what_is_loaded()
