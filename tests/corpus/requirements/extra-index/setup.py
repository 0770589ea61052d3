from setuptools import setup

setup(name="anything", packages=["anything"], python_requires=">=3.8,<3.12")
