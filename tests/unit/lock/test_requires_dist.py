import pytest
from packaging.requirements import InvalidRequirement

from envbuild.lock.requires_dist import parse_requirement


def test_a_line_that_is_no_requirement_today_counts_by_its_name() -> None:
    assert str(parse_requirement('old (>=1.0.*) ; python_version > "3"')) == 'old; python_version > "3"'
    with pytest.raises(InvalidRequirement):
        parse_requirement("!!!")
