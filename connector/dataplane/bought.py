"""What an agreement of ours is about, which after a counter-offer no listing says."""

from __future__ import annotations

from http import HTTPStatus

from connector.dataplane import client, store
from connector.runtime import Runtime
from schemas.dataset import Dataset
from schemas.ids import AgreementId


def agreed_dataset(runtime: Runtime, agreement_id: AgreementId) -> Dataset:
    """Return the dataset of an agreement of ours: asked of its supplier once, then kept.

    Raises:
        NotFoundError: We hold no such agreement as consumer.
        SupplierRefusedError: The supplier does not tell, or of another dataset.
    """
    agreement = client.agreement_of(runtime, agreement_id)
    with runtime.database.unit_of_work() as uow:
        known = store.agreed(uow, agreement_id)
    if known is not None:
        return known
    told = client.ask(runtime, agreement_id, "GET", "/dataset")
    try:
        dataset = Dataset.model_validate(told)
    except ValueError:
        dataset = None
    if dataset is None or dataset.id != agreement.dataset_id:
        raise client.SupplierRefusedError(
            HTTPStatus.BAD_GATEWAY,
            {
                "title": "공급기업의 답이 이 합의의 데이터셋이 아닙니다",
                "detail": "공급기업이 다른 데이터셋을 알려 왔습니다. 공급기업에 문의하세요.",
                "detail_en": "The supplier told of another dataset than the agreement's. Ask it.",
            },
        )
    with runtime.database.unit_of_work() as uow:
        store.remember(uow, agreement_id, dataset)
        return store.agreed(uow, agreement_id) or dataset
