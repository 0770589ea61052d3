import setuptools

setuptools.setup(name="low-rank", version="0.1.2", packages=setuptools.find_packages(), python_requires=">=3.6")
