"""Their words and ours, one pure file per system."""

from types import ModuleType

from sync_assets.mappers import odoo, tryton

#: The mapper of each kind of ERP; all have the functions party, order, rounding_line, seen, item.
ERP_MAPPERS: dict[str, ModuleType] = {"odoo": odoo, "tryton": tryton}
