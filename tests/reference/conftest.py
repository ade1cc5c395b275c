"""Options of the reference tests."""


def pytest_addoption(parser):
    parser.addoption("--histories", type=int, default=100, help="random histories of test_differential.py")
    parser.addoption("--first-seed", type=int, default=1, help="seed of the first one")
