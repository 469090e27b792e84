"""What is to be booked is worth in the company's currency: by the rates of its day, or by what it
clears. All of it works on the staged `items`.
"""

from sqlalchemy import Connection

from resources.store.frames import scalar
from sync_assets.settlements.staging import again

_OWN_CURRENCY = """
update items i set company_amount = i.amount from stage_companies c
where c.company = i.company and i.currency = c.company_currency
"""
#: The rate of every day and currency that came up: the latest one known then.
_DAY_RATES = """
create temp table day_rates on commit drop as
select k.company, k.currency, k.on_day, r.rate, coalesce(d.digits, 2) as digits
from (select distinct company, currency, on_day from items where company_amount is null) k
join stage_companies c using (company)
left join stage_digits d on d.currency = c.company_currency
join lateral (
    select x.rate from core.exchange_rates x where x.currency = k.currency
      and x.company_currency = c.company_currency and x.on_day <= k.on_day
    order by x.on_day desc limit 1
) r on true
"""
_AT_THE_RATE = """
update items i set company_amount = round(i.amount * r.rate, r.digits)
from day_rates r
where r.company = i.company and r.currency = i.currency and r.on_day = i.on_day
  and i.company_amount is null {only}
"""
#: What clears a payment is worth what the payment was worth when it was booked, now or before.
_CLEARED = """
with asked as (
    select i.source_ref, i.amount, min(e.ref) as payment_ref
    from items i join core.match_items e on e.match_id = i.match_id and e.side = 'expected'
    where i.company_amount is null and i.source_kind = 'line' and i.account_kind = 'clearing'
    group by 1, 2 having count(*) = 1
), worth as (
    select a.source_ref, i.amount, i.company_amount from asked a
    join items i on i.source_kind = 'payment' and i.source_ref = a.payment_ref
        and i.account_kind = 'clearing'
    union all
    select a.source_ref, b.amount, b.company_amount from asked a
    join core.journal_sources b on b.source_kind = 'payment' and b.source_ref = a.payment_ref
        and b.purpose = 'receipt' and b.is_live
    join core.journal_lines j using (entry_ref, line_no)
    where j.account_kind = 'clearing'
)
update items i set company_amount = -w.company_amount from worth w
where i.company_amount is null and i.source_kind = 'line' and i.account_kind = 'clearing'
  and w.source_ref = i.source_ref and w.amount = -i.amount
"""
_CONVERSIONS = """
create temp table conversions on commit drop as
select ctid as item, source_ref, match_id, currency, amount, company_amount
from items where account_kind = 'conversion'
"""
#: A conversion is worth what came of it: its two sides are one amount of the company's.
_CONVERTED = """
with pairs as (
    select a.item, b.company_amount from conversions a
    join conversions b on b.source_ref = a.source_ref and b.currency <> a.currency
    where {which}
    union
    select a.item, b.company_amount from conversions a
    join conversions b on b.match_id = a.match_id and b.source_ref <> a.source_ref
        and b.currency <> a.currency
    where {which}
)
update items i set company_amount = -p.company_amount from pairs p where i.ctid = p.item
"""


def value(connection: Connection) -> None:
    """What everything is worth in the company's currency; what is left is gain or loss."""
    connection.exec_driver_sql(_OWN_CURRENCY)
    if not scalar(connection, HAS_FOREIGN):
        return
    again(connection, "day_rates", _DAY_RATES)
    connection.exec_driver_sql(_AT_THE_RATE.format(only="and i.source_kind = 'payment'"))
    connection.exec_driver_sql(_CLEARED)
    again(connection, "conversions", _CONVERSIONS)
    one_known = "a.company_amount is null and b.company_amount is not null"
    connection.exec_driver_sql(_CONVERTED.format(which=one_known))
    connection.exec_driver_sql(_AT_THE_RATE.format(only=""))
    again(connection, "conversions", _CONVERSIONS)
    gains = "a.amount > 0 and b.amount < 0 and b.company_amount is not null"
    connection.exec_driver_sql(_CONVERTED.format(which=gains))


HAS_FOREIGN = """
select exists (select from items i join stage_companies c using (company)
    where i.currency <> c.company_currency)
"""
