from alembic import context

from databank.kit.db import run_migrations

run_migrations(context.config)
