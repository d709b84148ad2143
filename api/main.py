"""`uvicorn api.main:app`: the api of the settings in the environment."""

from activities import points
from api.app import create_app
from settings import Settings

settings = Settings()
if settings.points_dir is not None:
    points.install(points.obey_files(settings.points_dir))
app = create_app(settings)
