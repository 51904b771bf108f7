from headstart.deploy.dataset import load_dataset as load_dataset
from headstart.deploy.policy import Policy as Policy
from headstart.deploy.policy import load as load
from headstart.deploy.worlds import make as make
from headstart.deploy.worlds import parallel_env as parallel_env

__version__: str
__all__ = ["Policy", "__version__", "load", "load_dataset", "make", "parallel_env"]
