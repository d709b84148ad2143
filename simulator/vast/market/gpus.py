"""The GPUs the market sells: memory, speed and the price level each goes for (on-demand, per GPU and hour)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gpu:
    name: str
    ram: int
    """MB, as nvidia-smi reports it"""
    price: tuple[float, float]
    """$ per hour, cheapest and dearest seen"""
    tflops: float
    dlperf: float
    bandwidth: float
    """GB/s"""
    capability: int
    watts: int
    hosts: int
    """how many single-GPU hosts the seeded market has"""
    big: tuple[int, ...] = ()
    """GPU counts of its larger hosts"""


CATALOG = (
    Gpu("RTX 3080", 10240, (0.09, 0.28), 29.8, 45.0, 760, 860, 320, 12, (2, 4)),
    Gpu("RTX 3080 Ti", 12288, (0.11, 0.30), 34.1, 52.0, 912, 860, 350, 4, (2,)),
    Gpu("RTX 3090", 24576, (0.16, 0.38), 35.6, 60.0, 936, 860, 350, 13, (2, 4, 8)),
    Gpu("RTX 4070", 12282, (0.12, 0.29), 29.1, 55.0, 504, 890, 200, 5),
    Gpu("RTX 4080", 16376, (0.19, 0.40), 48.7, 78.0, 717, 890, 320, 5, (2,)),
    Gpu("RTX 4090", 24564, (0.29, 0.62), 82.6, 105.0, 1008, 890, 450, 16, (2, 4, 8)),
    Gpu("RTX 5090", 32607, (0.38, 0.79), 104.8, 150.0, 1792, 1200, 575, 6, (2, 4)),
    Gpu("RTX A5000", 24564, (0.18, 0.35), 27.8, 50.0, 768, 860, 230, 4, (2,)),
    Gpu("RTX A6000", 49140, (0.37, 0.68), 38.7, 70.0, 768, 860, 300, 5, (2, 4)),
    Gpu("L40S", 46068, (0.55, 0.95), 91.6, 120.0, 864, 890, 350, 4, (4, 8)),
    Gpu("Tesla V100", 32768, (0.18, 0.32), 15.7, 40.0, 897, 700, 300, 3, (4,)),
    Gpu("Tesla T4", 15360, (0.11, 0.20), 8.1, 18.0, 320, 750, 70, 4),
    Gpu("A100 PCIE", 81920, (0.66, 1.10), 19.5, 180.0, 1935, 800, 300, 3, (2, 4)),
    Gpu("A100 SXM4", 81920, (0.75, 1.30), 19.5, 200.0, 2039, 800, 400, 3, (4, 8)),
    Gpu("A100 SXM4 40GB", 40960, (0.55, 0.90), 19.5, 170.0, 1555, 800, 400, 2, (8,)),
    Gpu("H100 SXM", 81559, (1.70, 2.60), 67.0, 400.0, 3350, 900, 700, 4, (8,)),
    Gpu("H200", 143771, (2.30, 3.60), 67.0, 430.0, 4800, 900, 700, 3, (8, 8, 8)),
)
BY_NAME = {gpu.name: gpu for gpu in CATALOG}
