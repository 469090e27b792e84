"""What the Odoo stand-in says when it refuses: exception names and texts of versions 18 and 19."""

from typing import Any


class OdooFault(Exception):
    """An exception of the server; `name` is its full Python name there.

    `in_load` and `field` are what `load` shows instead, where it differs.
    """

    def __init__(
        self, name: str, message: str, *, in_load: str | None = None, field: str | None = None
    ) -> None:
        super().__init__(message)
        self.name, self.message, self.in_load, self.field = name, message, in_load, field

    @property
    def is_for_people(self) -> bool:
        """Whether it is one of Odoo's own exceptions rather than a programming error."""
        return self.name.startswith("odoo.exceptions.")

    def data(self) -> dict[str, Any]:
        """The error's `data` part in a JSON-RPC answer."""
        return {
            "name": self.name,
            "debug": f"Traceback (most recent call last):\n{self.name}: {self.message}\n",
            "message": self.message,
            "arguments": [self.message],
            "context": {},
        }


def user_error(message: str) -> OdooFault:
    """A business rule said no."""
    return OdooFault("odoo.exceptions.UserError", message)


def validation_error(message: str) -> OdooFault:
    """A constraint said no."""
    return OdooFault("odoo.exceptions.ValidationError", message)


def access_denied() -> OdooFault:
    """The secret is wrong."""
    return OdooFault("odoo.exceptions.AccessDenied", "Access Denied")


def no_database(name: str) -> OdooFault:
    """The database is unknown."""
    return OdooFault(
        "psycopg2.OperationalError",
        f'connection to server at "localhost", port 5432 failed: FATAL:  database "{name}" '
        "does not exist\n",
    )


def not_allowed(model: str, label: str, action: str, group: str) -> OdooFault:
    """The user lacks the right group."""
    return OdooFault(
        "odoo.exceptions.AccessError",
        f"You are not allowed to {action} '{label}' ({model}) records.\n\n"
        f"This operation is allowed for the following groups:\n\t- {group}\n\n"
        "Contact your administrator to request access if necessary.",
    )


def other_companies() -> OdooFault:
    """The context names companies the user is not in."""
    return OdooFault("odoo.exceptions.AccessError", "Access to unauthorized or invalid companies.")


def no_model(model: str) -> OdooFault:
    """The model is unknown."""
    return user_error(f"Object {model} doesn't exist")


def private_method(model: str, method: str) -> OdooFault:
    """The method may not be called from outside."""
    return OdooFault(
        "odoo.exceptions.AccessError",
        f"Private methods (such as '{model}.{method}') cannot be called remotely.",
    )


def no_method(model: str, method: str) -> OdooFault:
    """The method is unknown."""
    return OdooFault("builtins.AttributeError", f"The method '{model}.{method}' does not exist")


def bad_arguments(message: str) -> OdooFault:
    """The arguments do not fit the method."""
    return OdooFault("builtins.TypeError", message)


def value_error(message: str) -> OdooFault:
    """A value cannot be understood."""
    return OdooFault("builtins.ValueError", message)


def unknown_field(version: int, model: str, name: str, *, writing: bool) -> OdooFault:
    """A field to read or write is unknown."""
    where = f"on model '{model}'" if version == 18 else f"{'in' if writing else 'on'} '{model}'"
    return value_error(f"Invalid field '{name}' {where}")


def unknown_field_in_domain(version: int, model: str, name: str, leaf: str) -> OdooFault:
    """A field to search by is unknown."""
    what = "leaf" if version == 18 else "condition"
    return value_error(f"Invalid field {model}.{name} in {what} {leaf}")


def missing(model: str, id_: int, uid: int) -> OdooFault:
    """The record is gone."""
    return OdooFault(
        "odoo.exceptions.MissingError",
        f"Record does not exist or has been deleted.\n(Record: {model}({id_},), User: {uid})",
    )


def required(version: int, model: str, label: str, field: str, field_label: str) -> OdooFault:
    """A required field has no value."""
    short = f"Missing required value for the field '{field_label}' ({field})"
    if version == 18:
        message = (
            "The operation cannot be completed:\n"
            "- Create/update: a mandatory field is not set.\n"
            "- Delete: another model requires the record being deleted. If possible, archive it "
            f"instead.\n\nModel: {label} ({model})\nField: {field_label} ({field})\n"
        )
    else:
        message = (
            "The operation cannot be completed: Missing required value for the field "
            f"'{field_label}' ({field}).\nModel: '{label}' ({model})\n"
            "- create/update: a mandatory field is not set\n"
            "- delete: another model requires the record being deleted, you can archive it "
            "instead\n"
        )
    return OdooFault("odoo.exceptions.ValidationError", message, in_load=short, field=field)


def needs_a_name() -> OdooFault:
    """A contact has no name."""
    message = "Contacts require a name"
    return OdooFault(
        "odoo.exceptions.ValidationError",
        f"The operation cannot be completed: {message}",
        in_load=message,
    )


def line_needs_product() -> OdooFault:
    """An order line that is no heading has no product."""
    message = "Missing required fields on accountable sale order line."
    return OdooFault(
        "odoo.exceptions.ValidationError",
        f"The operation cannot be completed: {message}",
        in_load=message,
    )


def barcode_taken(barcode: str, products: list[str]) -> OdooFault:
    """Another product has the barcode."""
    holders = ", ".join(products[:-1]) + f" and {products[-1]}"
    return validation_error(
        f'Barcode(s) already assigned:\n\n- Barcode "{barcode}" already assigned to product(s): '
        f"{holders}\n\nNote: products that you don't have access to will not be shown above."
    )


def external_id_taken(module: str, name: str) -> OdooFault:
    """The external id exists."""
    return validation_error(
        "The operation cannot be completed: duplicate key value violates unique constraint "
        '"ir_model_data_module_name_uniq_index"\n'
        f"DETAIL:  Key (module, name)=({module}, {name}) already exists.\n"
    )


def company_crossover(record: str, company: str, label: str, field: str, other: str) -> OdooFault:
    """A record of one company names a record of another."""
    return user_error(
        "Uh-oh! You’ve got some company inconsistencies here:\n"
        f"- “{record}” belongs to company “{company}” while “{label}” ({field}: {other}) "
        "belongs to another company.\nTo avoid a mess, no company crossover is allowed!"
    )


NOT_CONFIRMABLE = "Some orders are not in a state requiring confirmation."
NO_WAREHOUSE = "You must set a warehouse on your sale order to proceed."
ORDER_NOT_DELETABLE = (
    "You can not delete a sent quotation or a confirmed sales order. You must first cancel it."
)
LINE_NOT_DELETABLE = (
    "Once a sales order is confirmed, you can't remove one of its lines (we need to track if "
    "something gets invoiced or delivered).\n                Set the quantity to 0 instead."
)
CONFLICT = "could not serialize access due to concurrent update\n"
