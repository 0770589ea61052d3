from setuptools import setup

setup(name='miniature',
      version='0.0.1',
      author='Somebody',
      packages=['miniature'],
      description='A small transformer',
      license='MIT',
      install_requires=[
            'torch',
      ],
)
