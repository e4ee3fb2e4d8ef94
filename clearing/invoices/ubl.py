"""An invoice as UBL 2.1 XML (OASIS, ISO/IEC 19845), an amended one as credit note; both valid."""

from __future__ import annotations

from typing import Final

from lxml import etree

from schemas.invoice import Invoice, InvoiceLine, InvoiceParty
from schemas.money import CURRENCY, VAT_PERCENT

INVOICE: Final = "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"
CAC: Final = "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"
CBC: Final = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"
CREDIT_NOTE: Final = "urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2"
COMMERCIAL_INVOICE: Final = "380"  # UNTDID 1001
CREDIT: Final = "381"  # UNTDID 1001
STANDARD_RATE: Final = "S"  # UNTDID 5305
PIECE: Final = "C62"  # UN/ECE Recommendation 20: one
BRN_SCHEME: Final = "KR:BRN"


def invoice_xml(invoice: Invoice) -> bytes:
    """Return the invoice as UBL 2.1; the seller is the supplier, whoever issues.

    An amended one is a CreditNote: it says what is credited as positive amounts, which invoice that
    is of, and by which code of the Korean e-tax invoice.
    """
    is_credit = invoice.original_invoice_id is not None
    name, space = ("CreditNote", CREDIT_NOTE) if is_credit else ("Invoice", INVOICE)
    root = etree.Element(f"{{{space}}}{name}", nsmap={None: space, "cac": CAC, "cbc": CBC})
    _basic(root, "UBLVersionID", "2.1")
    _basic(root, "ID", invoice.invoice_id)
    _basic(root, "IssueDate", invoice.written_on.isoformat())
    _basic(root, f"{name}TypeCode", CREDIT if is_credit else COMMERCIAL_INVOICE)
    _basic(root, "Note", f"statement {invoice.statement_id}")
    _basic(root, "DocumentCurrencyCode", CURRENCY)
    period = _part(root, "InvoicePeriod")
    _basic(period, "StartDate", f"{invoice.period}-01")
    _basic(period, "EndDate", invoice.written_on.isoformat())
    if is_credit:
        _original(root, invoice)
        invoice = _credited(invoice)
    _party(_part(root, "AccountingSupplierParty"), invoice.seller)
    _party(_part(root, "AccountingCustomerParty"), invoice.buyer)
    _tax(root, invoice)
    _totals(root, invoice)
    for number, line in enumerate(invoice.lines, 1):
        _line(root, number, line, name=name)
    content: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return content


def _original(root: etree._Element, invoice: Invoice) -> None:
    response = _part(root, "DiscrepancyResponse")
    _basic(response, "ReferenceID", str(invoice.original_invoice_id))
    _basic(response, "ResponseCode", str(invoice.amendment_code))
    reference = _part(_part(root, "BillingReference"), "InvoiceDocumentReference")
    _basic(reference, "ID", str(invoice.original_invoice_id))


def _credited(invoice: Invoice) -> Invoice:
    """Return a draft of negative amounts as what it credits."""
    lines = tuple(
        line.model_copy(update={"supply_won": -line.supply_won, "vat_won": -line.vat_won})
        for line in invoice.lines
    )
    sums = {name: -getattr(invoice, name) for name in ("supply_won", "vat_won", "total_won")}
    return invoice.model_copy(update={"lines": lines, **sums})


def _part(parent: etree._Element, name: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{CAC}}}{name}")


def _basic(parent: etree._Element, name: str, text: str, **attributes: str) -> None:
    etree.SubElement(parent, f"{{{CBC}}}{name}", attrib=attributes).text = _clean(text)


def _clean(text: str) -> str:
    """Leave out what XML 1.0 cannot say (section 2.2)."""
    return "".join(
        char
        for char in text
        if char in "\t\n\r" or "\x20" <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd"
        or char >= "\U00010000"
    )  # fmt: skip


def _won(parent: etree._Element, name: str, amount: int) -> None:
    _basic(parent, name, str(amount), currencyID=CURRENCY)


def _party(parent: etree._Element, told: InvoiceParty) -> None:
    party = _part(parent, "Party")
    _basic(_part(party, "PartyIdentification"), "ID", told.brn, schemeID=BRN_SCHEME)
    _basic(_part(party, "PartyName"), "Name", told.name)
    address = _part(party, "PostalAddress")
    _basic(_part(address, "AddressLine"), "Line", told.address)
    _basic(_part(address, "Country"), "IdentificationCode", "KR")
    scheme = _part(party, "PartyTaxScheme")
    _basic(scheme, "CompanyID", told.brn)
    _basic(_part(scheme, "TaxScheme"), "ID", "VAT")
    legal = _part(party, "PartyLegalEntity")
    _basic(legal, "RegistrationName", told.name)
    contact = _part(party, "Contact")
    _basic(contact, "Name", told.representative)
    if told.email:
        _basic(contact, "ElectronicMail", told.email)


def _tax(root: etree._Element, invoice: Invoice) -> None:
    total = _part(root, "TaxTotal")
    _won(total, "TaxAmount", invoice.vat_won)
    part = _part(total, "TaxSubtotal")
    _won(part, "TaxableAmount", invoice.supply_won)
    _won(part, "TaxAmount", invoice.vat_won)
    _category(_part(part, "TaxCategory"))


def _category(category: etree._Element) -> None:
    _basic(category, "ID", STANDARD_RATE)
    _basic(category, "Percent", str(VAT_PERCENT))
    _basic(_part(category, "TaxScheme"), "ID", "VAT")


def _totals(root: etree._Element, invoice: Invoice) -> None:
    """EN 16931 BR-CO-10: the sum of the lines is the total, exactly."""
    total = _part(root, "LegalMonetaryTotal")
    _won(total, "LineExtensionAmount", sum(line.supply_won for line in invoice.lines))
    _won(total, "TaxExclusiveAmount", invoice.supply_won)
    _won(total, "TaxInclusiveAmount", invoice.total_won)
    _won(total, "PayableAmount", invoice.total_won)


def _line(root: etree._Element, number: int, told: InvoiceLine, *, name: str) -> None:
    line = _part(root, f"{name}Line")
    _basic(line, "ID", str(number))
    quantity = "CreditedQuantity" if name == "CreditNote" else "InvoicedQuantity"
    _basic(line, quantity, str(told.quantity), unitCode=PIECE)
    _won(line, "LineExtensionAmount", told.supply_won)
    _won(_part(line, "TaxTotal"), "TaxAmount", told.vat_won)
    item = _part(line, "Item")
    _basic(item, "Name", told.name)
    _category(_part(item, "ClassifiedTaxCategory"))
    price = _part(line, "Price")  # for the whole quantity: a price per piece need not be whole
    _won(price, "PriceAmount", told.supply_won)
    _basic(price, "BaseQuantity", str(told.quantity), unitCode=PIECE)
