"""Python client: ``await connect(...)`` for asyncio, ``Client`` for everybody else."""

from clients.python.begin import connect
from clients.python.blocking import Client
from clients.python.errors import ClientError, ServerError
from clients.python.inbox import Block
from clients.python.session import Session

__all__ = ["Block", "Client", "ClientError", "ServerError", "Session", "connect"]
