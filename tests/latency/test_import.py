import subprocess
import sys

import pytest

HEAVY = "import sys; heavy = {'torch', 'ray', 'numpy', 'pandas', 'scipy', 'onnx', 'onnxruntime'} & set(sys.modules)"


@pytest.mark.parametrize("use", ["", "latency.load_table('pixel1')"])
def test_using_a_table_loads_nothing_heavy(use: str) -> None:
    code = f"import latency; {use}\n{HEAVY}; sys.exit(', '.join(heavy))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == ""
