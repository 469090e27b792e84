"""Phrases that carriers of free text share, in English, French and German, and what they mean.

Patterns are a last resort and anchored at both ends; a phrase that only resembles one of them
stays unknown. The order matters: what was not delivered is read before what was.
"""

from sync_assets.domain.tracking import ParcelState
from sync_assets.mappers.tracking.words import IN_CUSTOMS, patterns, phrases

#: For codes that say "on its way" or "failed" and leave the rest to the words.
SHARPER = phrases(
    (
        ParcelState.LABEL_CREATED,
        (
            "Shipment information received",
            "The shipment has been announced electronically",
        ),
    ),
    (ParcelState.PICKED_UP, ("Shipment picked up", "Package picked up", "Parcel picked up")),
    (
        ParcelState.OUT_FOR_DELIVERY,
        (
            "Out for delivery",
            "On vehicle for delivery",
            "With delivery courier",
            "The shipment has been loaded onto the delivery vehicle",
            "Shipment is out with courier for delivery",
            "Die Sendung wurde in das Zustellfahrzeug geladen",
            "En cours de livraison",
        ),
    ),
    (
        ParcelState.DELIVERY_FAILED,
        (
            "Delivery attempted",
            "Attempted delivery",
            "Delivery attempt unsuccessful",
            "Delivery not possible",
        ),
    ),
    (ParcelState.AVAILABLE_FOR_PICKUP, ("Available for pickup", "Ready for collection")),
    (ParcelState.RETURNING, ("Return to sender", "Returning to sender", "Retour à l'expéditeur")),
    (ParcelState.RETURNED, ("Returned to sender", "Returned to shipper")),
)

_WHO = r"(?:(?:your|the|this) )?(?:item|parcel|package|shipment|article)"
_COLIS, _SENDUNG = r"(?:votre |le )?colis", r"(?:die|ihre) sendung"
_SHOP = r"(?:pick ?up|collection) (?:point|shop)"
_WHERE = (
    r"left (?:in|at|with) .+"
    r"|(?:in|at) (?:the |your )?(?:mailbox|letter ?box|parcel locker|front door)"
    r"|to (?:the )?(?:addressee|recipient|neighbou?r|mailbox|parcel locker)"
)
FREE_TEXT = patterns(
    (
        rf"(?:{_WHO} )?(?:could not be|was not|unable to be) delivered(?: .*)?",
        ParcelState.DELIVERY_FAILED,
    ),
    (
        r"(?:unsuccessful )?(?:delivery attempt|attempted delivery|delivery attempted)(?: .*)?",
        ParcelState.DELIVERY_FAILED,
    ),
    (
        rf"(?:{_WHO} )?(?:is )?(?:available|ready|held) (?:for|at) (?:pick ?up|collection)"
        rf"(?: (?:at|in) .+)?|(?:{_WHO} )?arrived at (?:the )?{_SHOP}(?: .*)?",
        ParcelState.AVAILABLE_FOR_PICKUP,
    ),
    (rf"(?:{_WHO} )?(?:has been |was )?returned to (?:the )?sender", ParcelState.RETURNED),
    (
        rf"(?:{_WHO} )?(?:is )?(?:being )?(?:returning|return) to (?:the )?sender(?: .*)?",
        ParcelState.RETURNING,
    ),
    (
        rf"(?:{_WHO} )?(?:has been |was )?(?:successfully )?delivered(?: (?:{_WHERE}))?",
        ParcelState.DELIVERED,
    ),
    (
        rf"(?:{_WHO} )?(?:is )?(?:out|onboard|on board|on vehicle) for delivery(?: today)?",
        ParcelState.OUT_FOR_DELIVERY,
    ),
    (rf"(?:{_WHO} )?(?:held|detained|delayed) (?:by|in|at) customs(?: .*)?", ParcelState.EXCEPTION),
    (
        rf"(?:{_WHO} )?(?:is in customs|(?:has )?(?:been )?cleared (?:by )?customs"
        r"|customs clearance in progress|customs cleared)",
        IN_CUSTOMS,
    ),
    (r"in transit(?: to .+| through .+| with (?:the )?carrier)?", ParcelState.IN_TRANSIT),
    (r"(?:arrived at|departed(?: from)?|processed (?:at|in|through)) .+", ParcelState.IN_TRANSIT),
    (rf"{_WHO} (?:was |has been )?picked up(?: from (?:the )?sender)?", ParcelState.PICKED_UP),
    (
        rf"{_COLIS} (?:n a pas pu|n a pu) etre (?:livre|distribue)(?: .*)?",
        ParcelState.DELIVERY_FAILED,
    ),
    (rf"{_COLIS} (?:a ete |est )(?:livre|distribue|remis au destinataire)", ParcelState.DELIVERED),
    (rf"{_COLIS} est en cours d acheminement", ParcelState.IN_TRANSIT),
    (rf"{_COLIS} est en cours de livraison", ParcelState.OUT_FOR_DELIVERY),
    (rf"{_COLIS} (?:est|a ete) retourne a l expediteur", ParcelState.RETURNING),
    (rf"{_SENDUNG} (?:konnte|wurde) nicht zugestellt(?: .*)?", ParcelState.DELIVERY_FAILED),
    (rf"{_SENDUNG} wurde (?:erfolgreich )?zugestellt", ParcelState.DELIVERED),
    (
        rf"{_SENDUNG} (?:wurde in das zustellfahrzeug geladen|ist in zustellung)",
        ParcelState.OUT_FOR_DELIVERY,
    ),
    (
        rf"{_SENDUNG} (?:liegt|steht) .* zur abholung bereit",
        ParcelState.AVAILABLE_FOR_PICKUP,
    ),
    (rf"{_SENDUNG} wird zuruckgesandt(?: .*)?", ParcelState.RETURNING),
    (rf"{_SENDUNG} wurde (?:beim absender abgeholt|eingeliefert)", ParcelState.PICKED_UP),
    (rf"{_SENDUNG} wurde elektronisch angekundigt(?: .*)?", ParcelState.LABEL_CREATED),
    (rf"{_SENDUNG} wurde im (?:start|ziel) paketzentrum bearbeitet", ParcelState.IN_TRANSIT),
)
