from setuptools import setup

setup(
    name="impala",
    install_requires=[
        "dm-sonnet==1.36",
        "tensorflow==1.15.5",
        "gym==0.15.7",
        "opencv-python==4.2.0.34",
    ],
    python_requires=">=3.6,<3.8",
)
