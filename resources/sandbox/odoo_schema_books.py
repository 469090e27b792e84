"""Models of the Odoo stand-in for the books, as tables of the form `odoo_schema` explains:
accounts, journals, documents and entries with their lines, and the wizards that make documents.
"""

TABLES = """
account.journal | Journal | sequence, type, code
    name             char                     R   Journal Name
    code             char                     R   Short Code
    type             selection:sale,purchase,cash,bank,credit,general R Type
    sequence         integer                  -   Sequence
    company_id       many2one:res.company     R   Company
    active           boolean                  -   Active

account.account | Account | code, id
    name             char                     R   Account Name
    code             char                     d   Code
    code_store       char                     -   Code Store
    account_type     selection:asset_receivable,asset_cash,asset_current,asset_prepayments,\
asset_fixed,liability_payable,liability_current,equity,income,income_other,expense,off_balance R \
Type
    reconcile        boolean                  -   Allow Reconciliation
    currency_id      many2one:res.currency    -   Account Currency
    company_ids      many2many:res.company    R   Companies
    active           boolean                  9   Active

account.move | Journal Entry | date desc, name desc, invoice_date desc, id desc
    name             char                     -   Number
    ref              char                     -   Reference
    state            selection:draft,posted,cancel Rr Status
    move_type        selection:entry,out_invoice,out_refund,in_invoice,in_refund,out_receipt,\
in_receipt Rr Type
    date             date                     R   Date
    invoice_date     date                     -   Invoice/Bill Date
    invoice_origin   char                     -   Origin
    narration        html                     -   Terms and Conditions
    partner_id       many2one:res.partner     -   Partner
    company_id       many2one:res.company     -   Company
    company_currency_id many2one:res.currency rd  Company Currency
    journal_id       many2one:account.journal R   Journal
    currency_id      many2one:res.currency    R   Currency
    reversed_entry_id many2one:account.move   r   Reversal of
    reversal_move_ids one2many:account.move/reversed_entry_id - Reversal Move
    invoice_line_ids one2many:account.move.line/move_id - Invoice lines
    line_ids         one2many:account.move.line/move_id - Journal Items
    amount_untaxed   monetary                 r   Untaxed Amount
    amount_tax       monetary                 r   Tax
    amount_total     monetary                 r   Total
    amount_total_signed monetary              rd  Total Signed
    amount_residual  monetary                 r   Amount Due
    payment_state    selection:not_paid,in_payment,paid,partial,reversed,blocked,\
invoicing_legacy r Payment Status

account.move.line | Journal Item | date desc, move_name desc, id
    move_id          many2one:account.move    R   Journal Entry
    date             date                     rd  Date
    move_name        char                     rd  Number
    sequence         integer                  -   Sequence
    product_id       many2one:product.product -   Product
    name             char                     -   Label
    quantity         float:2                  -   Quantity
    price_unit       float:price              -   Unit Price
    discount         float:2                  -   Discount (%)
    tax_ids          many2many:account.tax    -   Taxes
    sale_line_ids    many2many:sale.order.line - Sales Order Lines
    price_subtotal   monetary                 r   Subtotal
    price_total      monetary                 r   Total
    account_id       many2one:account.account -   Account
    partner_id       many2one:res.partner     -   Partner
    debit            monetary                 -   Debit
    credit           monetary                 -   Credit
    balance          monetary                 -   Balance
    amount_currency  monetary                 -   Amount in Currency
    currency_id      many2one:res.currency    -   Currency

account.move.reversal | Account Move Reversal | id
    reason           char                     -   Reason displayed on Credit Note
    date             date                     -   Reversal date
    journal_id       many2one:account.journal R   Journal
    move_ids         many2many:account.move   -   Moves
    new_move_ids     many2many:account.move   -   New Moves

sale.advance.payment.inv | Sales Advance Payment Invoice | id
    advance_payment_method selection:delivered,percentage,fixed R Create Invoice
    sale_order_ids   many2many:sale.order     -   Sale Orders
"""

INDEXED: dict[str, tuple[str, ...]] = {
    "account.journal": ("company_id",),
    "account.move": ("ref", "reversed_entry_id"),
    "account.move.line": ("move_id", "product_id"),
}
