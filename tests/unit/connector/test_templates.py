"""Templates: each can be said, written and read again, and together they use the profile."""

from __future__ import annotations

from connector.publish.templates import TEMPLATES
from schemas.price import PricePlan
from schemas.terms import Terms, field_sentences, from_policy, to_policy

# terms that only make sense for one dataset's columns or with other terms of the supplier's own
OF_ONE_DATASET = {
    *("recipients", "columns", "masks", "row_filter", "statistics_groups", "bounds"),
    *("epsilon_agreement_milli", "entity_cells_max"),
}


def test_each_template_is_read_as_it_was_written_and_has_a_name_of_its_own() -> None:
    assert len({template.id for template in TEMPLATES}) == len(TEMPLATES)
    assert len({template.terms for template in TEMPLATES}) == len(TEMPLATES)
    for template in TEMPLATES:
        assert from_policy(to_policy(template.terms, PricePlan()))[0] == template.terms
        assert template.title.ko
        assert template.description.en


def test_a_template_shows_every_term_that_does_not_depend_on_a_datasets_columns() -> None:
    used = {name for template in TEMPLATES for name in field_sentences(template.terms)}
    assert used == set(Terms.model_fields) - OF_ONE_DATASET
