"""A receipt proves one entry in a signed checkpoint, and waits for it with an end."""

import threading

import pytest
from django.db import connection, transaction

from audit import keys, receipts, tlog_proof
from audit.receipts import NotIntegrated
from tests.factories.audit import KEY, integrate, log_of, touch

ORIGIN = keys.origin(KEY.public_key())


@pytest.mark.django_db
def test_a_receipt_proves_the_entry_to_whoever_has_the_key() -> None:
    log_of(5)
    entry_id = touch("7")
    integrate()
    receipt = receipts.receipt_of(entry_id)
    assert (receipt.entry_id, receipt.index, receipt.size) == (entry_id, 5, 6)
    proof = tlog_proof.parse(receipt.tlog_proof(extra=receipt.leaf.encode()))
    assert proof.verify(receipt.leaf_hash, ORIGIN, KEY.public_key()).size == 6
    assert proof.extra.decode() == receipt.leaf


@pytest.mark.django_db
def test_a_receipt_in_an_earlier_checkpoint_stays_the_same() -> None:
    first = touch()
    integrate()
    then = receipts.receipt_of(first)
    log_of(3)
    assert receipts.receipt_of(first).size == 4
    assert receipts.receipt_of(first, size=1) == then
    for size in (0, 2, 5, 2**64):
        with pytest.raises(NotIntegrated, match="no checkpoint of"):
            receipts.receipt_of(first, size=size)


@pytest.mark.django_db
def test_an_entry_that_is_not_sealed_has_no_receipt() -> None:
    entry_id = touch()
    with pytest.raises(NotIntegrated) as refusal:
        receipts.receipt_of(entry_id)
    assert refusal.value.extra == {"entry_id": entry_id}
    with pytest.raises(NotIntegrated):
        receipts.receipt_of("no such entry")


@pytest.mark.django_db(transaction=True)
def test_waiting_ends_with_the_receipt_or_with_a_refusal() -> None:
    entry_id = touch()
    with pytest.raises(NotIntegrated):
        receipts.wait_for_receipt(entry_id, seconds=0)

    def sequence() -> None:
        integrate()
        connection.close()

    sequencer = threading.Thread(target=sequence)
    sequencer.start()
    assert receipts.wait_for_receipt(entry_id, seconds=30).index == 0
    sequencer.join()


@pytest.mark.django_db(transaction=True)
def test_waiting_inside_a_transaction_is_a_mistake() -> None:
    with pytest.raises(RuntimeError, match="inside a transaction"), transaction.atomic():
        receipts.wait_for_receipt(touch())
